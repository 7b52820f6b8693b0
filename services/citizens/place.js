// Fills in where the phone is, if its owner asks for it; the form works without.
const button = document.getElementById("here");
button.hidden = !("geolocation" in navigator);
button.addEventListener("click", () => {
  navigator.geolocation.getCurrentPosition(
    (at) => {
      document.getElementById("lon").value = at.coords.longitude.toFixed(6);
      document.getElementById("lat").value = at.coords.latitude.toFixed(6);
      button.textContent = button.dataset.done;
    },
    () => { button.textContent = button.dataset.failed; },
    { enableHighAccuracy: true, timeout: 15000 },
  );
});
