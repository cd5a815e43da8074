"""Running ONNX models: the only place that imports onnxruntime.

Responsible for model files, execution providers, sessions and engines. It does not know about
chains, requests, fees or signatures.
"""
