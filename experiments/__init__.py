"""Experiments: each module reproduces a figure or a claim of a source document.

An experiment has a function ``main(quick, seed)`` that returns a `Report`.
"""
