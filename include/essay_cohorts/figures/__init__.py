"""Draws figures of scores as SVG and PNG, without a browser.

figure             what a figure is: its data as a plot, and the words that belong to it
judge_scores       each judge's scores: mean, spread, and how often each score was given
sheet              what a plot draws on, with the fonts and colours of all figures
dot_whisker        means with their intervals, by any names
means              the means of judges, templates and groups
ranking            essays in the order of their means
distribution       how often each score was given
scatter            two judges, a judge and a person, or two templates, on the same essays
agreement_matrix   the agreement of each pair of judges
cohort_figures     every figure of a cohort by its name
rendering          from a figure to SVG and PNG
"""
