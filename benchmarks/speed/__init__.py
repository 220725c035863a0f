"""Time and memory of the layers, the nets and the stages from file to labels."""
