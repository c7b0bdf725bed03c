"""How the frames of a take are chosen, framed and given to the network that scores them."""
