"""Retrieval measured: mAP, CMC, mINP, lists of results."""
