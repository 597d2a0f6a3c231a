/* Empty on purpose: it takes the place of the theme's own file of this name, 1.5 MB of
   icons as JavaScript. The theme's pages draw their icons with its web font. */
