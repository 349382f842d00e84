"""Prices: from the data set `genai-prices` and the user's own files to dated rows of `llm_prices` that SQL can join.

`seeds` reads the user's files, `names` finds what a model's name stands for, `cards` turns its prices into rows, `sync`
keeps the rows up to date without ever changing one. Nothing in here prices an operation: that is done in SQL.
"""
