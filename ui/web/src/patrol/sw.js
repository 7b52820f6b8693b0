// The phone's shell without a network: the page and its files from the cache, everything else from the network.
const CACHE = "patrol-__VERSION__";
const SHELL = __SHELL__;
self.addEventListener("install", (e) => e.waitUntil(caches.open(CACHE).then((c) => c.addAll(SHELL)).then(() => self.skipWaiting())));
self.addEventListener("activate", (e) => e.waitUntil(caches.keys()
  .then((keys) => Promise.all(keys.filter((k) => k.startsWith("patrol-") && k !== CACHE).map((k) => caches.delete(k))))
  .then(() => self.clients.claim())));
// Map tiles, the style and thumbnails seen once stay readable without a network; the newest answer always wins.
const KEEP = /^\/(tiles|styles|layers)\b|^\/api\/v1\/(config|files\/)/;
async function fresh(request) {
  const cache = await caches.open("seen");
  try {
    const answer = await fetch(request);
    if (answer.ok) cache.put(request, answer.clone());
    return answer;
  } catch (why) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw why;
  }
}
self.addEventListener("fetch", (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== "GET" || url.origin !== location.origin) return;
  if (e.request.mode === "navigate" && url.pathname === "/patrol")
    e.respondWith(fetch(e.request).catch(() => caches.match("/patrol")));
  else if (SHELL.includes(url.pathname)) e.respondWith(caches.match(url.pathname).then((hit) => hit || fetch(e.request)));
  else if (KEEP.test(url.pathname)) e.respondWith(fresh(e.request));
});
