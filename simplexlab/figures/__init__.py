"""The paper's figures from theory and run folders, each with its numbers.

One module a figure: a function that computes what is plotted, as a record ready for JSON, and `draw`, which makes a
matplotlib figure and its caption from that record alone. `style.save_figure` writes both.
"""
