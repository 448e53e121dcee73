// The rule builder: moving rules by mouse and by keys, lists of values as chips, and a field picker one can search.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const DEPTH = 3;
  const changed = () => document.body.dispatchEvent(new Event("rules-changed"));
  const form = () => $("#segment-form");

  // Whatever is typed or chosen in the form asks for the figures again; what a row asks the server for comes back first.
  document.body.addEventListener("rules-changed", () => keep());
  document.addEventListener("input", (event) => { if (event.target.form === form()) changed(); });
  document.addEventListener("change", (event) => { if (event.target.form === form() && event.target.name !== "overlap") changed(); });
  document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target.closest?.("#rules")) changed(); });

  // Depth: a group may hold groups down to three.
  const depthOf = (list) => { let n = 0; for (let at = list; at; at = at.parentElement?.closest("[data-rules]")) n += 1; return n; };
  const heightOf = (node) => node.matches("[data-group]") ? 1 + Math.max(0, ...$$(":scope > [data-rules] > [data-group]", node).map(heightOf)) : 0;
  const fits = (node, list) => depthOf(list) + heightOf(node) <= DEPTH;

  function ready(root) {
    $$("[data-rules]", root).concat(root.matches?.("[data-rules]") ? [root] : []).forEach((list) => {
      if (list.dataset.sorts || !window.Sortable || list.closest("fieldset[disabled]")) return;
      list.dataset.sorts = "yes";
      Sortable.create(list, {
        group: "rules", handle: "[data-grip]", draggable: "[data-node]", animation: 120, fallbackOnBody: true, swapThreshold: 0.65,
        onMove: (event) => fits(event.dragged, event.to) && !event.dragged.contains(event.to), onEnd: () => { limit(); changed(); },
      });
    });
    $$("select[data-picker]", root).forEach(enhance);
    limit();
  }

  // A group at the third level takes no group in it.
  function limit() { $$(".add-group").forEach((button) => { button.hidden = depthOf(button.closest("[data-group]").querySelector("[data-rules]")) >= DEPTH; }); }

  // Keys on a handle: up and down walk through the groups, Delete takes the rule away.
  document.addEventListener("keydown", (event) => {
    const grip = event.target.closest?.("[data-grip]");
    if (grip) {
      const node = grip.closest("[data-node]");
      if (event.key === "ArrowUp" || event.key === "ArrowDown") { event.preventDefault(); move(node, event.key === "ArrowUp"); grip.focus(); }
      if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); remove(node); }
    }
    const typed = event.target.closest?.(".chips-input");
    if (typed && (event.key === "Enter" || event.key === ",")) { event.preventDefault(); addChip(typed); }
    if (typed && event.key === "Backspace" && !typed.value) { typed.previousElementSibling?.remove(); changed(); }
  });

  function move(node, up) {
    const list = node.parentElement, other = up ? node.previousElementSibling : node.nextElementSibling;
    const inner = other?.matches("[data-group]") ? $("[data-rules]", other) : null;
    const outer = list.closest("[data-group]");
    const tooDeep = inner && !fits(node, inner);
    if (inner && !tooDeep) up ? inner.append(node) : inner.prepend(node);
    else if (other) up ? other.before(node) : other.after(node);
    else if (outer) up ? outer.before(node) : outer.after(node);
    else return;
    limit();
    changed();
    const place = [...node.parentElement.children].indexOf(node) + 1;
    $("#moved").textContent = `${tooDeep ? `Groups go at most ${DEPTH} deep: past it. ` : ""}Number ${place} of ${node.parentElement.children.length}, level ${depthOf(node.parentElement)}.`;
  }

  function remove(node) {
    const near = node.nextElementSibling || node.previousElementSibling || node.closest("[data-rules]").parentElement;
    node.remove();
    $("[data-grip], .rule-add button", near)?.focus();
    changed();
  }

  document.addEventListener("click", (event) => {
    const gone = event.target.closest("[data-remove-node]");
    if (gone) return remove(gone.closest("[data-node]"));
    const chip = event.target.closest("[data-remove-chip]");
    if (chip) { const box = chip.closest(".chips"); chip.closest(".chip").remove(); $(".chips-input", box).focus(); changed(); }
  });

  // Chips. What is pasted with lines, or else with commas, becomes many; very many become lines of text.
  const CHIPS = 40;
  function addChip(input) {
    const words = input.value.split(/[\r\n]/.test(input.value) ? /[\r\n]+/ : ",").map((word) => word.trim()).filter(Boolean);
    const held = $$("input[type=hidden]", input.parentElement).map((one) => one.value);
    const there = new Set(held.map((one) => one.toLowerCase()));
    if (held.length + words.length > CHIPS) return toLines(input.parentElement, input, [...held, ...words]);
    for (const word of words) {
      if (there.has(word.toLowerCase())) continue;
      there.add(word.toLowerCase());
      const chip = document.createElement("span"), value = document.createElement("input"), cross = document.createElement("button"), sign = document.createElement("i");
      chip.className = "chip";
      Object.assign(value, { type: "hidden", name: input.name, value: word });
      Object.assign(cross, { type: "button" });
      cross.dataset.removeChip = "";
      cross.setAttribute("aria-label", `Remove ${word}`);
      sign.className = "ti ti-x";
      cross.append(sign);
      chip.append(word, value, cross);
      input.before(chip);
    }
    input.value = "";
    changed();
  }
  function toLines(box, input, values) {
    const lines = document.createElement("textarea");
    Object.assign(lines, { className: "form-control", name: input.name.replace(/value$/, "lines"), rows: 4, value: [...new Set(values)].join("\n") });
    lines.setAttribute("aria-label", input.getAttribute("aria-label").replace(/: add a value$/, ", one value a line"));
    input.value = "";  // leaving the page takes its last word with it otherwise
    box.replaceWith(lines);
    lines.focus();
    changed();
  }
  document.addEventListener("paste", (event) => {
    const input = event.target.closest?.(".chips-input");
    const text = event.clipboardData?.getData("text") || "";
    if (!input || !/[,\n]/.test(text)) return;
    event.preventDefault();
    // Not through the field: it would join the lines.
    addChip({ value: `${input.value}${text}`, name: input.name, parentElement: input.parentElement, before: (chip) => input.before(chip), getAttribute: (name) => input.getAttribute(name) });
    input.value = "";
  });
  document.addEventListener("change", (event) => { if (event.target.matches(".chips-input") && event.target.value) addChip(event.target); });

  // Suggestions are fetched when a value is about to be typed, not with the page.
  document.addEventListener("focusin", (event) => {
    const input = event.target.closest?.("[data-values]");
    const list = input && document.getElementById(input.getAttribute("list"));
    if (!list || list.dataset.asked) return;
    list.dataset.asked = "yes";
    htmx.ajax("GET", input.dataset.values, { target: list, swap: "innerHTML" });
  });

  // How many leads have each choice, looked up when the choice is about to be made.
  document.addEventListener("focusin", async (event) => {
    const select = event.target.closest?.("select[data-counts]");
    if (!select || select.dataset.asked) return;
    select.dataset.asked = "yes";
    const answer = await fetch(select.dataset.counts);
    if (!answer.ok) return;
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    const counts = new Map($$("option", found).map((option) => [option.value, option.textContent]));
    $$("option", select).forEach((option) => { if (counts.has(option.value)) option.textContent += ` (${counts.get(option.value)})`; });
  });

  // The field picker: the select stays what is posted; a button with a searchable list stands in front of it.
  let open = null;
  function enhance(select) {
    if (select.dataset.enhanced || select.closest("fieldset[disabled]")) return;
    select.dataset.enhanced = "yes";
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "form-select picker", textContent: select.selectedOptions[0]?.textContent || "Choose…" });
    button.setAttribute("aria-haspopup", "listbox");
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `Field: ${button.textContent}`);
    select.hidden = true;
    select.before(button);
    button.addEventListener("click", () => (open?.select === select ? close() : show(select, button)));
    button.addEventListener("keydown", (event) => { if (["ArrowDown", "ArrowUp"].includes(event.key)) { event.preventDefault(); show(select, button); } });
  }

  function show(select, button) {
    close();
    const box = document.createElement("div"), search = document.createElement("input"), list = document.createElement("div");
    box.className = "picker-box";
    list.className = "picker-list";
    list.id = "picker-list";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Fields");
    Object.assign(search, { type: "search", className: "form-control", placeholder: "Find a field", autocomplete: "off" });
    for (const [name, value] of [["role", "combobox"], ["aria-expanded", "true"], ["aria-controls", list.id], ["aria-label", "Find a field"]]) search.setAttribute(name, value);
    box.append(search, list);
    button.after(box);
    button.setAttribute("aria-expanded", "true");
    open = { select, button, box, search, list, at: 0, shown: [] };
    fill("");
    search.focus();
    search.addEventListener("input", (event) => { event.stopPropagation(); fill(search.value); });
    search.addEventListener("keydown", keys);
  }

  function fill(term) {
    const wanted = term.trim().toLowerCase();
    open.list.replaceChildren();
    open.shown = [];
    for (const group of open.select.querySelectorAll("optgroup")) {
      const hits = $$("option", group).filter((option) => `${option.textContent} ${group.label}`.toLowerCase().includes(wanted));
      if (!hits.length) continue;
      const head = document.createElement("div");
      head.className = "picker-group";
      head.textContent = group.label;
      open.list.append(head);
      for (const option of hits) {
        const item = document.createElement("div");
        item.className = "picker-item";
        item.id = `picker-${open.shown.length}`;
        item.setAttribute("role", "option");
        item.dataset.value = option.value;
        item.textContent = option.textContent;
        item.addEventListener("mousedown", (event) => { event.preventDefault(); choose(option.value); });
        open.list.append(item);
        open.shown.push(item);
      }
    }
    if (!open.shown.length) open.list.textContent = "No field is called that.";
    const now = open.shown.findIndex((item) => item.dataset.value === open.select.value);
    mark(wanted || now < 0 ? 0 : now);
  }

  function mark(at) {
    open.shown.forEach((item, n) => item.setAttribute("aria-selected", n === at));
    open.at = at;
    const item = open.shown[at];
    if (!item) return;
    open.search.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }

  function keys(event) {
    const last = open.shown.length - 1;
    if (event.key === "ArrowDown") mark(Math.min(open.at + 1, last));
    else if (event.key === "ArrowUp") mark(Math.max(open.at - 1, 0));
    else if (event.key === "Enter") { if (open.shown[open.at]) choose(open.shown[open.at].dataset.value); }
    // Tab goes on from the button, as if the list had not been open.
    else if (event.key === "Escape" || event.key === "Tab") { const { button } = open; close(); button.focus(); event.stopPropagation(); return; }
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function choose(value) {
    const { select, button } = open;
    close();
    button.focus();
    if (select.value === value) return;
    select.value = value;
    button.textContent = select.selectedOptions[0].textContent;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function close() { open?.box.remove(); open?.button.setAttribute("aria-expanded", "false"); open = null; }
  document.addEventListener("mousedown", (event) => { if (open && !open.box.contains(event.target) && event.target !== open.button) close(); });

  // A row that comes back keeps the focus where the hand is by now, and what was typed since it was asked for.
  const rowOf = (event) => event.detail.target?.matches?.(".rule") ? event.detail.target : null;
  const typed = (row) => new Map($$("input:not([type=hidden]), textarea, select:not([hx-post])", row).map((box) =>
    [`${box.name} ${box.type === "checkbox" ? box.value : ""}`, box.type === "checkbox" ? box.checked : box.value]));
  const asked = new WeakMap();
  let late = null;
  document.addEventListener("htmx:configRequest", (event) => {
    // Only the row's own part of the form: another's may be 10,000 lines.
    const row = rowOf(event), data = event.detail.formData;
    if (row && data) [...data.keys()].filter((name) => !name.startsWith(`${row.id.slice(5)}-`)).forEach((name) => data.delete(name));
  });
  document.addEventListener("htmx:beforeRequest", (event) => { const row = rowOf(event); if (row) asked.set(row, typed(row)); });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const row = rowOf(event);
    if (!row) return;
    const before = asked.get(row) || new Map(), at = document.activeElement;
    late = {
      id: row.id,
      typed: [...typed(row)].filter(([name, value]) => before.has(name) && before.get(name) !== value),
      focus: !row.contains(at) ? null : at.matches(".picker") ? at.parentElement.querySelector("select").name : at.name ? `${at.name} ${at.type === "checkbox" ? at.value : ""}` : null,
    };
  });
  document.addEventListener("htmx:load", (event) => {
    const root = event.detail.elt;
    ready(root);
    if (!late || root.id !== late.id) return;
    const { typed: words, focus } = late, boxes = $$("input:not([type=hidden]), textarea, select", root);
    late = null;
    const box = (name) => boxes.find((one) => `${one.name} ${one.type === "checkbox" ? one.value : ""}` === name || one.name === name);
    for (const [name, value] of words) { const one = box(name); if (one) one[one.type === "checkbox" ? "checked" : "value"] = value; }
    const one = focus && box(focus);
    (one?.hidden ? $(".picker", root) : one)?.focus();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    // A new rule: the hand goes on at its field.
    const list = event.detail.target;
    if (!list.matches?.("[data-rules]")) return;
    const row = list.lastElementChild;
    ready(row);
    (row.querySelector(".picker") || row.querySelector("select"))?.focus();
  });

  // What is typed and not saved outlives a session that ends, a wrong turn and a closed lid: kept by this window alone.
  const KEPT = "segment";
  let keeping = 0;
  function write(sent) {
    clearTimeout(keeping);
    keeping = 0;
    const data = [...new FormData(form())].filter(([name]) => name !== "csrf_token" && name !== "overlap");
    try { sessionStorage.setItem(KEPT, JSON.stringify({ at: location.pathname, sent, data })); } catch { /* too much to keep */ }
  }
  function keep() {
    clearTimeout(keeping);
    if (form() && $("#draft")) keeping = setTimeout(write, 300, false);
  }
  document.addEventListener("submit", (event) => { if (event.target === form() && $("#draft") && !event.defaultPrevented) write(true); });
  addEventListener("pagehide", () => { if (keeping) write(false); });

  function offer() {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null"), box = $("#draft");
    if (!kept || !box) return;
    if (form().hasAttribute("data-typed") || (kept.sent && $(".toast-success"))) return sessionStorage.removeItem(KEPT);
    box.hidden = kept.at !== location.pathname;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-draft]");
    if (!button) return;
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    sessionStorage.removeItem(KEPT);
    $("#draft").hidden = true;
    if (button.dataset.draft !== "bring") return;
    const back = document.createElement("form");
    Object.assign(back, { method: "post", action: form().action, hidden: true });
    for (const [name, value] of [...kept.data, ["draft", "yes"], ["csrf_token", $("meta[name=csrf-token]").content]]) {
      const box = document.createElement("textarea");  // which keeps lines
      Object.assign(box, { name, value });
      back.append(box);
    }
    document.body.append(back);
    back.submit();
  });
  offer();
})();
