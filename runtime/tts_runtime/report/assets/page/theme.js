"use strict";
// Before anything is drawn, so that the page does not flash.
(function () {
  let theme = "auto";
  try { theme = localStorage.getItem("tts-theme") || "auto"; } catch (error) { /* no storage here */ }
  document.documentElement.dataset.theme = theme;
})();
