"""Evaluation of retrieval: mAP, CMC, mINP, lists of results."""
