"""What to believe, given what many people say: pure functions on arrays.

`votes` holds who said what of which item; `confusion` tells the truth from it, and what each earner
confuses; `calibration` turns what the crowd is sure of into what is right, and measures it. Nothing
here knows pictures, projects or money.
"""
