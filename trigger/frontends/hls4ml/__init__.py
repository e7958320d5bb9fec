"""hls4ml projects as networks: read from their C++, and witnessed by their own csim."""
