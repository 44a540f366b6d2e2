"""Benchmarks: ratios, measured in one run, against what users would write otherwise.

A benchmark has a function ``main()`` that returns its `Ratio`s.
"""
