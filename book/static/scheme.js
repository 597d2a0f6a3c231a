/* A page knows whether it is dark before its first picture. The theme finds out when the whole page
   is there: until then a reader in the dark would see a white one. Where the reader chose light or
   dark, the theme has it from the last visit. */
{
  const { dataset } = document.documentElement;
  if (dataset.mode === "auto") {
    dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
}
