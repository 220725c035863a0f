"""How fast the layers, the nets and the stages from file to labels are, and how much memory they take."""
