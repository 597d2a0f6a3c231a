"""The chapters on Keras and on its settings: the recipe of the layers tutorial, and variants."""
