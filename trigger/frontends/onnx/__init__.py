"""Networks in ONNX: with the quantisers of QONNX, or with QuantizeLinear and DequantizeLinear."""
