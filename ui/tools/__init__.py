"""Things to do with the latent plane: each lays something on the plane, and shows the rest."""
