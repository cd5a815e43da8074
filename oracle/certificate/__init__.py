"""The certificate: how far an adversary can move an answer without any element being wrong.

Works on traces alone: it runs no model, reads no ONNX and knows no chain.
`docs/certificate.md` says what is guaranteed and what is not.
"""

from oracle.certificate.certificate import Certificate, Contribution, OutputBound
from oracle.certificate.certify import Options, certify

__all__ = ["Certificate", "Contribution", "Options", "OutputBound", "certify"]
