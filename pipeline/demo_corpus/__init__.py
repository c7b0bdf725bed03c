"""The demo corpus: acted takes that the tool makes itself, with the truth beside them.

What it is for: a measuring stick. Every number that a stage estimates (pose, mouth opening, time
warp, emotion) is known here exactly, because the picture and the sound are made from it. A result
on the demo says nothing about real faces and voices.
"""
