"""Tests of what makes and describes the sample models."""
