"""The graph in ONNX: in integers for onnxruntime, and as QONNX for tools that read trained
networks.
"""
