"""Parsers of picture files, one module per format: what the decoder will see of each file.

A parser never decodes a pixel. It returns the header together with the parts of the file that it
understood, from which the decoder gets a new file: chunks, segments and tags that are not needed
for the pixels never reach it, and neither does a second, contradicting size.
"""
