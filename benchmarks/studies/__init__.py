"""How good the nets are: trainings, scores, and what the labels say about teeth."""
