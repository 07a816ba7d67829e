"""The page of the next run's plan.

plan_page  the form, the plan, and the button that starts the run
choices    templates, judges and essays that can be chosen
run_offer  the run that the button starts
"""
