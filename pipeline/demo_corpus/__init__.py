"""The demo corpus: synthetic acted takes with exact ground truth.

It serves for measuring accuracy. Every quantity that a stage estimates (pose, mouth opening, time
map, emotion) is known exactly, because the images and audio are generated from it. Results on the
demo say nothing about real faces and voices.
"""
