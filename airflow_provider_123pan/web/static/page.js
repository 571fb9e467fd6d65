"use strict";

// The page is in an iframe of Airflow's UI, of the same origin. Alone, it has no parent but itself.
const outside = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
})();

// Airflow's UI has its theme as a class of its root element, and stores it as "theme".
const followTheme = () => {
  let theme = null;
  try {
    const classes = outside?.document.documentElement.classList;
    theme = ["dark", "light"].find((name) => classes?.contains(name)) ?? localStorage.getItem("theme");
  } catch {
    theme = null;
  }
  if (theme === "dark" || theme === "light") {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
};
followTheme();
if (outside) {
  new MutationObserver(followTheme).observe(outside.document.documentElement, { attributeFilter: ["class"] });
}
addEventListener("storage", followTheme);

// Airflow's UI names the run above its tabs, so the tab of a run does not repeat it. In "Browse", it names none, though
// the path of the page may follow that of the iframe: /plugin/pan123/….
const runIn = (page) => {
  try {
    const [path] = page.location.pathname.split("/plugin/");
    return decodeURIComponent(/\/dags\/[^/]+\/runs\/[^/]+/.exec(path)?.[0] ?? "");
  } catch {
    return "";
  }
};
if (outside && runIn(window) && runIn(window) === runIn(outside)) {
  document.documentElement.dataset.tab = "";
}

// The iframe may neither open a tab nor leave Airflow, so a link of the surrounding page does it.
const leave = (event) => {
  const link = event.target.closest?.("a[data-leave]");
  if (!link || !outside || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) {
    return;
  }
  event.preventDefault();
  const outer = outside.document.createElement("a");
  outer.href = link.href;
  outer.rel = "noopener noreferrer";
  if (link.dataset.leave === "new") {
    outer.target = "_blank";
  }
  outer.click();
};

const copy = async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) {
    return;
  }
  const text = document.getElementById(button.dataset.copy);
  text.select();
  try {
    await navigator.clipboard.writeText(text.value);
  } catch {
    document.execCommand("copy");
  }
  button.textContent = button.dataset.copied;
};

const replaceMissing = (event) => {
  const image = event.target;
  if (image.dataset?.missing) {
    const note = document.createElement("span");
    note.textContent = image.dataset.missing;
    image.closest("a")?.setAttribute("aria-label", `${image.alt}: ${image.dataset.missing}`);
    image.replaceWith(note);
  }
};

const refresh = async () => {
  const tasks = document.getElementById("tasks");
  if (!tasks?.dataset.refresh) {
    return;
  }
  if (!document.hidden && !tasks.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(answer.ok ? await answer.text() : "", "text/html");
      const found = page.getElementById("tasks");
      if (found) {
        tasks.replaceWith(document.adoptNode(found));
      }
    } catch {
      // The next try may succeed.
    }
  }
  setTimeout(refresh, 1000 * Number(tasks.dataset.refresh));
};

addEventListener("click", leave);
addEventListener("click", copy);
addEventListener("error", replaceMissing, true);
addEventListener("DOMContentLoaded", () => {
  const tasks = document.getElementById("tasks");
  if (tasks?.dataset.refresh) {
    setTimeout(refresh, 1000 * Number(tasks.dataset.refresh));
  }
});
