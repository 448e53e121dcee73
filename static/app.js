// Behaviour of the shell. Pages carry no scripts of their own: they say what they need in data attributes.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = $("meta[name=csrf-token]").content;
  });
  document.addEventListener("htmx:sendError", () => note("No connection. Trying again when it is back.", "danger"));

  function note(text, kind) {
    const box = document.createElement("div");
    box.className = `toast-note toast-${kind}`;
    box.dataset.toast = "";
    box.textContent = text;
    $("#toasts").append(box);
    settle(box);
  }

  function settle(toast) {
    if (toast.dataset.settled) return;
    toast.dataset.settled = "yes";
    // One with an Undo stays long enough to be thought about.
    setTimeout(() => toast.remove(), toast.querySelector("form") ? 15000 : 6000);
  }

  function ask(question, said, then) {
    const dialog = $("#ask"), yes = $("[value=yes]", dialog);
    $("p", dialog).textContent = question;
    yes.textContent = said || "Yes";
    yes.className = said ? "btn btn-primary" : "btn btn-danger";
    dialog.returnValue = "no";
    dialog.showModal();
    dialog.addEventListener("close", () => { if (dialog.returnValue === "yes") then(); }, { once: true });
  }

  // Questions before destructive acts, and no form sent twice by an impatient finger.
  let asked = null;
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    const question = button?.dataset.ask || form.dataset.ask;
    if (question && asked !== form) {
      event.preventDefault();
      return ask(question, button?.dataset.yes || form.dataset.yes, () => { asked = form; form.requestSubmit(button); asked = null; });
    }
    if (form.method === "dialog" || form.method === "get" || button?.formTarget || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    button?.classList.add("btn-loading");
  });
  addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    $$(".btn-loading", form).forEach((button) => button.classList.remove("btn-loading"));
  }));

  document.addEventListener("click", (event) => {
    const target = event.target;
    if (target.closest("[data-dismiss-toast]")) return target.closest("[data-toast]").remove();
    if (target.closest("[data-fold]")) {
      const folded = root.classList.toggle("side-folded");
      return localStorage.setItem("side", folded ? "folded" : "");
    }
    if (target.closest("[data-menu]")) return menu(!root.classList.contains("menu-open"));
    if (root.classList.contains("menu-open") && !target.closest(".side")) menu(false);
    if (target.closest("[data-close-slide]")) return closeSlide();
    const copied = target.closest("[data-copy]");
    if (copied) return copy(copied);
    const insert = target.closest("[data-insert]");
    if (insert) return insertToken(insert);
    const tab = target.closest("[data-tab]");
    if (tab) return showTab(tab);
    const row = target.closest("tr[data-href]");
    if (row && !target.closest("a, button, input, label")) location.href = row.dataset.href;
  });

  function copy(button) {
    const text = $("#" + button.dataset.copy).textContent.trim();
    navigator.clipboard?.writeText(text).then(() => note("Copied.", "success"), () => note("Select it and copy it by hand.", "warning"));
  }

  function menu(open) {
    root.classList.toggle("menu-open", open);
    $("[data-menu]")?.setAttribute("aria-expanded", open);
  }

  function closeSlide() {
    const slide = $("#slide-over");
    slide.hidden = true;
    slide.replaceChildren();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { closeSlide(); menu(false); }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if ((event.key === "/" && !typing) || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey))) {
      const search = $("[data-shortcut='/']");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
  });

  // Bulk selection: rows of the page, or all that match.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-bulk]");
    if (!form) return;
    if (event.target.matches("[data-choose]")) return chooseArgument(form, event.target);
    if (!event.target.matches("[data-check], [data-check-all]")) return;
    if (event.target.matches("[data-check-all]")) $$("[data-check]", form).forEach((box) => { box.checked = event.target.checked; });
    selectAll(form, false);
  });
  function selectAll(form, all) {
    const bar = $(".bulk-bar", form), boxes = $$("[data-check]", form), n = boxes.filter((box) => box.checked).length;
    if (!bar) return;
    const more = $("[data-bulk-all]", bar), isAll = $("[data-bulk-is-all]", bar), whole = $("[data-check-all]", form);
    bar.hidden = n === 0;
    if (whole) { whole.checked = n === boxes.length; whole.indeterminate = n > 0 && n < boxes.length; }
    if (isAll) isAll.value = all ? "yes" : "";
    $("[data-bulk-count]", bar).textContent = all ? `All ${more.dataset.count} that match are selected` : `${n} selected`;
    if (!more) return;
    more.hidden = n < boxes.length;
    more.textContent = all ? "Only this page" : `Select all ${more.dataset.count || "..."} that match`;
    if (!more.hidden && !more.dataset.count) {
      more.dataset.count = "...";
      fetch(more.dataset.countAt, { headers: { Accept: "text/plain" } }).then((answer) => answer.text()).then((count) => {
        more.dataset.count = count;
        selectAll(form, isAll.value === "yes");
      });
    }
  }
  function chooseArgument(form, chosen) {
    const needs = chosen.selectedOptions[0].dataset.needs;
    $$("[data-bulk-argument]", form).forEach((box) => { box.hidden = box.dataset.bulkArgument !== needs; });
    $(".bulk-bar [hx-target].btn-primary", form).hidden = !needs;
    $("#bulk-error").textContent = "";
    $$("[data-bulk-argument]", form).find((box) => !box.hidden)?.focus();
  }
  document.addEventListener("click", (event) => {
    const more = event.target.closest("[data-bulk-all]");
    if (more) selectAll(more.form, $("[data-bulk-is-all]", more.form).value !== "yes");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("[data-bulk-argument]")) return;
    event.preventDefault();
    $(".bulk-bar .btn-primary", event.target.form).click();
  });
  // What is done to more than a page of rows is asked about before.
  document.addEventListener("htmx:confirm", (event) => {
    const question = event.target.dataset?.bulkGo;
    if (!question || $("[data-bulk-is-all]", event.target.form).value !== "yes") return;
    event.preventDefault();
    const more = $("[data-bulk-all]", event.target.form);
    ask(question.replace("{n}", `${more.dataset.count} ${more.dataset.noun}`), event.target.dataset.yes, () => event.detail.issueRequest(true));
  });

  // A value edited in place: saved by Enter or by leaving it, given up by Esc. F2 opens it as a click does.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-in-place]");
    if (!form) return;
    if (!event.defaultPrevented) {
      // Faster than htmx took the form up: never let the browser send it by itself.
      event.preventDefault();
      return setTimeout(() => form.isConnected && form.requestSubmit(), 30);
    }
    form.dataset.saving = "yes";
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-in-place] select")) event.target.form.requestSubmit();
  });
  document.addEventListener("focusout", (event) => {
    const form = event.target.closest("[data-in-place]");
    if (!form || form.dataset.saving || form.contains(event.relatedTarget) || !document.hasFocus()) return;
    if (untouched(form)) return giveUp(form, false);
    form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "F2" && event.target.matches("[data-edit]")) event.target.click();
    const form = event.target.closest("[data-in-place]");
    if (form && event.key === "Escape") { event.preventDefault(); giveUp(form, true); }
    if (form && (event.key === "Enter" || event.key === "Escape")) back = form.parentElement.id;
  });
  const untouched = (form) => [...form.elements].every((box) => (box.type === "hidden" || box.tagName === "BUTTON") ? true
    : box.tagName === "SELECT" ? [...box.options].every((option) => option.selected === option.defaultSelected || !box.querySelector("[selected]"))
    : box.value === box.defaultValue && !box.classList.contains("is-invalid"));
  let back = "";  // the value the keyboard goes back to
  function giveUp(form, byKey) {
    form.dataset.saving = "yes";
    htmx.ajax("GET", form.dataset.back, { target: "#" + form.parentElement.id, swap: "outerHTML" });
    if (!byKey) back = "";
  }

  // A token chip goes where the cursor last was.
  let lastText = null;
  document.addEventListener("focusin", (event) => { if (event.target.matches("[data-takes-tokens]")) lastText = event.target; });
  function insertToken(chip) {
    const box = lastText || $("[data-takes-tokens]");
    if (!box) return;
    box.setRangeText(chip.dataset.insert, box.selectionStart, box.selectionEnd, "end");
    box.focus();
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function showTab(tab) {
    $$("[data-tab]", tab.parentElement).forEach((other) => {
      const here = other === tab;
      other.setAttribute("aria-selected", here);
      $("#" + other.dataset.tab).hidden = !here;
    });
  }

  // Live preview: the form is posted into its iframe by a hidden button, a moment after typing stops.
  document.addEventListener("input", (event) => preview(event.target));
  document.addEventListener("change", (event) => preview(event.target));
  let waiting = 0;
  function preview(target) {
    const button = target.closest?.("form[data-preview]") && $("#" + target.closest("form").dataset.preview);
    if (!button) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => target.form.requestSubmit(button), 300);
  }
  document.addEventListener("click", (event) => {
    const size = event.target.closest("[data-frame-width]");
    if (!size) return;
    const frame = $("#" + size.dataset.frame);
    frame.classList.toggle("is-phone", size.dataset.frameWidth === "phone");
    $$("[data-frame-width]", size.parentElement).forEach((other) => other.classList.toggle("active", other === size));
  });

  // Charts, drawn from the table beside them.
  const charts = new Set();
  function draw(box) {
    if (!window.echarts || box.dataset.drawn) return;
    box.dataset.drawn = "yes";
    const data = JSON.parse(box.dataset.chart);
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--tblr-secondary").trim() || "#667";
    const line = style.getPropertyValue("--tblr-border-color").trim() || "#ddd";
    const colors = ["--chart-1", "--chart-2", "--chart-3"].map((name) => style.getPropertyValue(name).trim());
    const chart = echarts.init(box, null, { renderer: "canvas" });
    chart.setOption({
      color: colors, animation: false, grid: { left: 8, right: 12, top: 32, bottom: 4, containLabel: true },
      legend: { top: 0, left: 0, icon: "circle", itemWidth: 8, itemHeight: 8, textStyle: { color: ink } },
      tooltip: { trigger: "axis", renderMode: "richText" },
      xAxis: { type: "category", data: data.labels, boundaryGap: data.series.some((s) => s.type === "bar"), axisLine: { lineStyle: { color: line } }, axisLabel: { color: ink, hideOverlap: true }, axisTick: { show: false } },
      yAxis: { type: "value", minInterval: 1, axisLabel: { color: ink }, splitLine: { lineStyle: { color: line, opacity: 0.6 } } },
      series: data.series.map((s) => ({ name: s.name, data: s.data, type: s.type || "line", barMaxWidth: 28, stack: s.stack, smooth: 0.2, showSymbol: data.labels.length < 2, lineStyle: { width: 2 }, ...(s.tone ? { itemStyle: { color: style.getPropertyValue("--chart-" + s.tone).trim() } } : {}) })),
    });
    charts.add(chart);
  }
  addEventListener("resize", () => charts.forEach((chart) => chart.isDisposed() ? charts.delete(chart) : chart.resize()));

  function ready(part) {
    $$("[data-toast]", part).forEach(settle);
    $$("[data-chart]", part).forEach(draw);
    $$("form[data-preview]", part).forEach((form) => $("#" + form.dataset.preview) && form.requestSubmit($("#" + form.dataset.preview)));
    const wrong = $("[data-form-errors]", part);
    if (wrong) ($(".is-invalid", part) || wrong).focus();
  }
  // A part that follows by itself keeps open what somebody opened, and stands still while they are asked something.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    if ($("#ask").open) { event.detail.shouldSwap = false; return; }
    opened = $$("details[id][open]", event.detail.target).map((details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => opened.splice(0).forEach((id) => $("#" + id)?.setAttribute("open", "")));
  document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
  document.addEventListener("htmx:afterSwap", (event) => {
    const value = back && $("#" + back + "-value");
    if (value) { value.focus(); back = ""; }
    $("[data-in-place] input.form-control")?.select();
    if (event.detail.target.id === "slide-over") {
      event.detail.target.hidden = false;
      $("input:not([type=hidden]), button, a", event.detail.target)?.focus();
    }
    $$("[data-toast]").forEach(settle);
  });
})();
