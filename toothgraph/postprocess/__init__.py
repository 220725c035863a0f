"""Rules from probabilities to labels: label boundaries, pieces (teeth), numbers. Without torch."""
