import { defineConfig } from "vite";

export default defineConfig({
  base: "/ui/",
  publicDir: "public",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 3000,
    rolldownOptions: {
      input: { mapkit: "src/mapkit/index.ts", ogc: "src/ogc/main.ts", wall: "wall.html", console: "console.html", patrol: "patrol.html", board: "board.html", login: "login.html" },
      preserveEntrySignatures: "strict",
      output: {
        // mapkit keeps its name: the workbench and notebooks import it by address, as the pages of /ogc do with ogc.
        entryFileNames: (chunk) => (["mapkit", "ogc"].includes(chunk.name) ? `${chunk.name}.js` : "assets/[name]-[hash].js"),
        assetFileNames: (asset) => (asset.names.includes("mapkit.css") ? "mapkit.css" : "assets/[name]-[hash][extname]"),
        chunkFileNames: "assets/[name]-[hash].js",
      },
    },
  },
});
