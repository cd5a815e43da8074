"""Whole programs before the court: ONNX's operators, honest runs, and every kind of tampering."""
