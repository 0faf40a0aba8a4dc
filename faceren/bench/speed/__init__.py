"""How fast this machine is: the network, the simulator, training, and a whole folder."""
