// The page's script: it unpacks a cell when it is opened and places what harness/report drew. Text goes into text nodes and
// attributes only, never into markup, because instances choose their names.
(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($('data').textContent);

  // element(name, attributes, children…); attributes with a function value are listeners.
  function element(name, attributes = {}, ...children) {
    const svg = name.startsWith('svg:');
    const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4)) : document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) {
      if (typeof v === 'function') e.addEventListener(k, v);
      else if (v !== undefined && v !== false) e.setAttribute(k, v === true ? '' : v);
    }
    e.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== ''));
    return e;
  }
  const s = (name, attributes, ...children) => element('svg:' + name, attributes, ...children);

  // unpack gives a row's cells, by fix.
  const rows = new Map();
  function unpack(scenario) {
    if (!rows.has(scenario)) {
      const bytes = Uint8Array.from(atob(data.rows[scenario]), (c) => c.charCodeAt(0));
      const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
      rows.set(scenario, new Response(plain).json());
    }
    return rows.get(scenario);
  }

  const ms = (us) => (us < 10000 ? (us / 1000).toFixed(2) : us < 100000 ? (us / 1000).toFixed(1) : Math.round(us / 1000).toString());

  // ---- the timeline -------------------------------------------------------------------------------------------------------------

  const heights = { gateway: 56, writer: 58, balancer: 40, proxy: 56, member: 40, truth: 46 };

  // scale places times: gaps grow with the logarithm of the time between, so that a millisecond full of events and a second of
  // waiting both fit. All of it is drawn narrower or wider to fill the room, within reason. It returns x(t) and the width.
  function scale(times, room) {
    const sorted = [...new Set(times)].sort((a, b) => a - b);
    const at = new Map();
    let x = 0;
    const steps = sorted.map((t, i) => (i === 0 ? 0 : 11 + 7.5 * Math.log2(1 + (t - sorted[i - 1]) / 150)));
    const total = steps.reduce((a, b) => a + b, 0);
    const stretch = total > 0 ? Math.min(3, Math.max(0.6, (room - 136) / total)) : 1;
    sorted.forEach((t, i) => { x += steps[i] * stretch; at.set(t, 26 + x); });
    return { x: (t) => at.get(t), width: Math.max(room, x + 110), sorted };
  }

  const shapes = {
    hit: (x, y) => s('circle', { cx: x, cy: y, r: 5.5 }),
    miss: (x, y) => s('circle', { cx: x, cy: y, r: 5 }),
    member: (x, y) => s('path', { d: `M${x} ${y - 6.5}l6.5 6.5l-6.5 6.5l-6.5 -6.5z` }),
    client: (x, y) => s('rect', { x: x - 5, y: y - 5, width: 10, height: 10, rx: 1 }),
    none: (x, y) => s('circle', { cx: x, cy: y, r: 3 }),
    write: (x, y) => s('path', { d: `M${x - 5.5} ${y - 4.5}h11l-5.5 9.5z` }),
    fault: (x, y) => s('path', { d: `M${x + 1.5} ${y - 9}l-6 10h4l-1.5 8l6.5 -11h-4.5z` }),
    conn: (x, y) => s('path', { d: `M${x} ${y - 6}v12` }),
    truth: (x, y) => s('path', { d: `M${x} ${y - 4}l4 4l-4 4l-4 -4z` }),
    ok: (x, y) => s('circle', { cx: x, cy: y, r: 2.8 }),
    bad: (x, y) => s('path', { d: `M${x - 3.5} ${y - 3.5}l7 7m0 -7l-7 7`, fill: 'none' }),
  };
  function glyph(kind, state, x, y) {
    const shape = (shapes[kind] || shapes.none)(x, y);
    shape.setAttribute('class', ['g', kind, state].filter(Boolean).join(' '));
    return shape;
  }

  const canvas = document.createElement('canvas').getContext('2d');
  function widthOf(text, font = '600 12px system-ui, sans-serif') { canvas.font = font; return canvas.measureText(text).width; }

  // timeline draws d into a box that is room pixels wide. light(seq) is told which event the pointer is at.
  function timeline(d, room, sentence, light) {
    const names = 96, head = 24, foot = 26;
    const drawn = d.marks.filter((m) => m.l >= 0);
    const times = [0, d.end];
    for (const m of drawn) times.push(m.t, ...(m.u ? [m.u] : []));
    for (const p of d.phases || []) times.push(p.t);
    for (const t of d.truth || []) times.push(t.t);
    for (const b of d.bands || []) times.push(b.t, ...(b.u >= 0 ? [b.u] : []));
    for (const e of d.entries || []) times.push(e.t, e.u);
    const { x, width, sorted } = scale(times, room - names - 4);
    const right = width - 8;

    let y = head;
    const lanes = d.lanes.map((l) => { const h = heights[l.k]; const lane = { ...l, top: y, h, mid: y + { truth: 0.42, writer: 0.5 }[l.k] * h || y + 0.56 * h }; y += h; return lane; });
    const bottom = y, height = y + foot;
    const truth = lanes[lanes.length - 1];

    const left = s('svg', { width: names, height, 'aria-hidden': 'true' });
    const body = s('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'Timeline. ' + sentence + ' The events are listed below.' });
    const layer = () => body.appendChild(s('g'));
    const back = layer(), ways = layer(), bars = layer(), marks = layer(), words = layer();

    lanes.forEach((l, i) => {
      const rule = { x1: 0, x2: width, y1: l.top, y2: l.top, class: 'rule' };
      back.append(s('line', rule));
      left.append(s('line', { ...rule, x2: names }), s('text', { x: 12, y: l.mid + 2, class: 'name' }, shorten(l.n, 12)));
      if (i === 0 || lanes[i - 1].k !== l.k) left.append(s('text', { x: 12, y: l.mid + 15, class: 'q' }, { gateway: 'gateway', writer: 'write', balancer: 'balancer', proxy: 'proxy', member: 'member', truth: 'etcd' }[l.k]));
    });
    back.append(s('line', { x1: 0, x2: width, y1: bottom, y2: bottom, class: 'rule' }));

    (d.phases || []).forEach((p, i, all) => {
      const from = x(p.t), to = i + 1 < all.length ? x(all[i + 1].t) : width;
      if (i % 2) back.append(s('rect', { x: from, y: 0, width: Math.max(0, to - from), height: bottom, class: 'alt' }));
      back.append(s('line', { x1: from, x2: from, y1: 0, y2: bottom, class: 'border' }));
      if (to - from > 20) words.append(s('text', { x: from + 5, y: 16, class: 'q' }, fits(p.n, to - from - 8, '11px system-ui, sans-serif')));
    });

    // Truth: what was so, and from which revision on.
    (d.truth || []).forEach((t, i, all) => {
      const from = x(t.t), to = i + 1 < all.length ? x(all[i + 1].t) : right;
      if (to - from < 1) return;
      const text = `r${t.r}: ` + (t.ids.length ? t.ids.join(' ') : 'no instance'), room = to - from - 10;
      bars.append(s('g', {}, s('title', {}, text), s('rect', { x: from, y: truth.mid - 11, width: Math.max(1, to - from - 1.5), height: 22, rx: 3, class: 'seg' + (i % 2 ? ' b' : '') }),
        s('text', { x: from + 6, y: truth.mid + 4, class: 'seg' }, room > 70 ? fits(text, room) : [text, 'r' + t.r].find((w) => widthOf(w) <= room) || '')));
    });

    for (const b of d.bands || []) {
      const l = lanes[b.l], from = x(b.t), to = b.u >= 0 ? x(b.u) : right;
      bars.append(s('g', {}, s('title', {}, b.x + (b.u < 0 ? ', until the end' : '')),
        s('rect', { x: from, y: l.top + 1.5, width: Math.max(3, to - from), height: l.h - 3, rx: 4, class: 'band' }),
        s('text', { x: from + 5, y: l.top + 13, class: 'fault' }, fits(b.x, Math.max(to - from - 8, 90)))));
      l.taken = Math.max(l.taken || 0, from + 8 + widthOf(b.x));
    }

    for (const e of d.entries || []) {
      const l = lanes[e.l], from = x(e.t), to = x(e.u);
      const moved = e.w && (d.truth || []).find((t) => t.t > e.t && t.r > e.r);
      const turn = moved && moved.t <= e.u ? x(moved.t) : to;
      const part = (a, b, wrong) => b > a && bars.append(s('rect', { x: a - 8, y: l.mid - 9, width: b - a + (b === to ? 16 : 8), height: 18, rx: b === to ? 9 : 0, class: 'entry' + (wrong ? ' wrong' : '') }));
      if (to > from) { part(from, turn, false); if (turn < to) part(turn + 8, to, true); }
    }

    // Marks, each lane keeping its words apart.
    const hover = (m) => ({ mouseenter: () => light(m.q), mouseleave: () => light(0), click: () => light(m.q, true) });
    for (const m of drawn) {
      const l = lanes[m.l];
      const request = m.g === 'ok' || m.g === 'bad';
      const my = request ? l.mid + 14 : m.g === 'truth' ? l.mid + 17 : l.mid;
      const from = x(m.t), to = m.u ? x(m.u) : from;
      const wrong = m.s === 'wrong';
      for (const at of new Set([from, to])) {
        const via = m.to ? lanes[m.to - 1] : undefined;
        const way = m.g === 'write' ? 'way written' : 'way' + (wrong ? ' wrong' : '');
        const line = (y1, y2) => ways.append(s('line', { x1: at, x2: at, y1, y2, class: way }));
        if (via) line(my, via.mid);
        if (m.d) line((via || { mid: my }).mid, truth.mid - 11);
      }
      const g = s('g', { class: 'm' + (wrong ? ' wrong' : ''), 'data-seq': m.q, ...hover(m) }, s('title', {}, `${m.w} ${m.y}` + (m.n ? ` (${m.n} times)` : '')));
      if (to > from) g.append(s('line', { x1: from, x2: to, y1: my, y2: my, class: ['span', m.g, m.s].join(' ') }), glyph(m.g, m.s, to, my));
      g.append(glyph(m.g, m.s, from, my));
      marks.append(g);

      let label = m.x || '';
      if (!request && l.k !== 'truth' && m.r && (m.r !== l.said || m.x)) label = (label ? label + ' ' : '') + 'r' + m.r;
      if (m.n) label = (label ? label + ' ' : '') + '×' + m.n;
      if (request) label = m.g === 'bad' ? (m.x || '') + (m.n ? ' ×' + m.n : '') : '';
      if (!label || m.g === 'truth') continue;
      const cls = m.g === 'write' ? 'written' : m.g === 'fault' ? 'fault' : wrong ? 'wrong' : 'q';
      const w = widthOf(label, cls === 'wrong' ? '650 12px system-ui, sans-serif' : '600 11px system-ui, sans-serif');
      const start = Math.min(request ? to + 8 : from - 4, width - w - 4);
      // Above the mark; a write's words go below it where there is no room, a request's are beside it.
      const rows = request ? [['under', my + 4]] : m.g === 'write' ? [['taken', l.mid - 11], ['under', l.mid + 19]] : [['taken', l.mid - 13]];
      const row = rows.find(([key]) => start >= (l[key] || 0));
      const crossed = request && drawn.some((o) => o !== m && o.l === m.l && (o.g === 'ok' || o.g === 'bad') && x(o.t) < start + w + 6 && x(o.u || o.t) > start - 6);
      if (!row || crossed) { l.said = 0; continue; }
      words.append(s('text', { x: start, y: row[1], class: cls }, label));
      l[row[0]] = start + w + 6;
      l.said = m.r || l.said;
    }

    // The time of whatever there is room for.
    let last = -100;
    for (const t of sorted) {
      const at = x(t);
      if (at - last < 62) continue;
      words.append(s('line', { x1: at, x2: at, y1: bottom, y2: bottom + 4, class: 'border' }), s('text', { x: at, y: bottom + 17, class: 'q', 'text-anchor': 'middle' }, ms(t)));
      last = at;
    }
    left.append(s('text', { x: names - 8, y: bottom + 17, class: 'q', 'text-anchor': 'end' }, 'ms'));

    return element('div', { class: 'timeline', style: `--paper-zoom: ${Math.min(0.85, 1030 / (names + width)).toFixed(3)}` }, element('div', { class: 'names' }, left), element('div', { class: 'scroll', tabindex: width > room - names ? 0 : undefined, role: width > room - names ? 'region' : undefined, 'aria-label': width > room - names ? 'Timeline, scrolls sideways' : undefined }, body));
  }

  function shorten(text, n) { const r = [...text]; return r.length > n ? r.slice(0, n - 1).join('') + '…' : text; }
  function fits(text, room, font) {
    if (widthOf(text, font) <= room) return text;
    for (let n = [...text].length - 1; n > 2; n--) { const t = shorten(text, n); if (widthOf(t, font) <= room) return t; }
    return '';
  }

  function key() {
    const item = (kind, state, text) => element('li', {}, s('svg', { width: 16, height: 16, 'aria-hidden': 'true' }, glyph(kind, state, 8, 8)), text);
    const list = element('ul', { class: 'key timeline-key', 'aria-hidden': 'true' },
      item('hit', '', 'cache hit'), item('miss', '', 'miss: the proxy asked etcd'), item('member', '', 'a member, no proxy'), item('client', '', 'go-micro’s own cache'),
      item('hit', 'wrong', 'disagrees with truth'), item('write', '', 'write'), item('ok', '', '200'), item('bad', 'wrong', 'failed request, or the wrong service'), item('fault', '', 'fault fires; a band while it lasts'),
      element('li', {}, 'Gaps in time are drawn shorter the longer they are.'));
    list.style.border = '0';
    list.querySelectorAll('svg').forEach((g) => { const wrap = element('span', { class: 'timeline' }); wrap.style.cssText = 'border:0;margin:0;background:none;overflow:visible'; g.replaceWith(wrap); wrap.append(g); });
    return list;
  }

  // ---- the events and the evidence as tables ------------------------------------------------------------------------------------

  function table(caption, heads, rows) {
    return element('table', {}, element('caption', { class: 'sr' }, caption),
      element('thead', {}, element('tr', {}, heads.map(([h, cls]) => element('th', { scope: 'col', class: cls }, h)))),
      element('tbody', {}, rows));
  }

  function eventTable(d, proof) {
    const rows = d.marks.map((m) => {
      const proves = [...proof].some((q) => q === m.q || (m.z && q > m.q && q <= m.z && false));
      return element('tr', { 'data-seq': m.q, class: [m.g === 'step' ? 'step' : '', m.s || '', proves ? 'proof' : ''].join(' ') },
        element('td', { class: 'n' }, m.z ? `${m.q}–${m.z}` : String(m.q)), element('td', { class: 'n' }, ms(m.t) + (m.u ? '–' + ms(m.u) : '')),
        element('td', {}, m.w), element('td', { class: 'what' }, m.y, m.n ? element('span', { class: 'more' }, `×${m.n}`) : '', proves ? element('span', { class: 'more' }, 'evidence') : ''));
    });
    return table('Events, in order', [['#', 'n'], ['ms', 'n'], ['where', ''], ['what', '']], rows);
  }

  const sources = { hit: 'hit', miss: 'miss', member: 'a member', client: 'go-micro’s cache' };
  function evidenceTable(evidence) {
    const revision = (r) => (r ? 'r' + r : '–');
    const ids = (list) => (list && list.length ? list.map((id) => element('span', { class: 'id' }, id)) : '–');
    const rows = evidence.map((e) => element('tr', {}, element('td', {}, e.gateway), element('td', {}, e.proxy || '–'), element('td', {}, sources[e.source] || '–'), element('td', { class: 'n' }, revision(e.revision)), element('td', { class: 'n' }, revision(e.truth)),
      element('td', {}, ids(e.ghosts)), element('td', {}, ids(e.hidden)), element('td', { class: 'remark' }, e.note || ''), element('td', { class: 'n' }, (e.events || []).join(' '))));
    return table('Evidence', [['gateway', ''], ['proxy', ''], ['answered from', ''], ['answer of', 'n'], ['truth of', 'n'], ['ghosts or leaked', ''], ['hidden', ''], ['', ''], ['events', 'n']], rows);
  }

  // ---- one reading ---------------------------------------------------------------------------------------------------------------

  function reading(r, cell, room) {
    const panel = element('div', { role: r.name ? 'tabpanel' : undefined, id: 'panel', 'aria-labelledby': r.name ? 'tab-' + r.name : undefined });
    if (r.outcome) panel.append(element('p', { class: 'verdict', id: 'verdict' }, element('span', { class: 'badge ' + r.outcome }, r.label), r.why + (/[.!?]$/.test(r.why) ? '' : '.')));
    if (r.moved) panel.append(element('p', { class: 'expected' }, 'Not as expected: ', element('b', {}, r.expected), ' was expected.'));
    const proof = new Set((r.evidence || []).flatMap((e) => e.events || []));
    const events = eventTable(r.drawing, proof);
    const light = (seq, scroll) => {
      for (const lit of panel.querySelectorAll('.lit')) lit.classList.remove('lit');
      if (!seq) return;
      for (const e of panel.querySelectorAll(`[data-seq="${Number(seq)}"]`)) e.classList.add('lit');
      if (scroll) events.querySelector(`[data-seq="${Number(seq)}"]`)?.scrollIntoView({ block: 'center' });
    };
    events.addEventListener('mouseover', (ev) => light(ev.target.closest('tr')?.dataset.seq));
    events.addEventListener('mouseleave', () => light(0));
    if (r.drawing.note) panel.append(element('p', { class: 'note' }, r.drawing.note));
    if (r.drawing.marks.length) panel.append(timeline(r.drawing, room, r.why || '', light), key());
    if (cell.replay) panel.append(replay(cell.replay));
    if ((r.evidence || []).length) panel.append(element('h3', {}, 'Evidence'), element('div', { class: 'wide' }, evidenceTable(r.evidence)));
    if (r.drawing.marks.length) panel.append(element('h3', {}, 'Events'), element('div', { class: 'wide' }, events));
    return panel;
  }

  function replay(command) {
    const code = element('code', { tabindex: 0 }, command);
    const copy = element('button', { type: 'button', class: 'copy', click: async () => {
      let ok = false;
      try { await navigator.clipboard.writeText(command); ok = true; } catch {
        getSelection().selectAllChildren(code);
        try { ok = document.execCommand('copy'); } catch { /* it stays selected */ }
      }
      copy.textContent = ok ? 'copied' : 'selected';
      setTimeout(() => { copy.textContent = 'copy'; }, 1500);
    }, 'aria-label': 'Copy the command that replays this cell', 'aria-live': 'polite' }, 'copy');
    return element('div', { class: 'replay' }, code, copy);
  }

  // ---- a page of one timeline ----------------------------------------------------------------------------------------------------

  if ($('single')) {
    unpack('').then(({ '': cell }) => {
      const box = $('single').appendChild(element('div'));
      const padding = parseFloat(getComputedStyle(box).paddingLeft) * 2;
      box.append(reading(cell.readings[0], cell, box.clientWidth - padding - 2));
      document.documentElement.dataset.ready = 'true';
    });
    return;
  }

  // ---- the matrix ----------------------------------------------------------------------------------------------------------------

  const matrix = $('matrix'), dialog = $('dialog');
  const buttons = [...matrix.querySelectorAll('.cell')];
  const byKey = new Map(buttons.map((b) => [b.dataset.cell, b]));
  const bare = location.href.split('#')[0];
  const row = new Map(data.scenarios.map((x, i) => [x.name, i])), column = new Map(data.fixes.map((x, i) => [x.name, i]));
  const at = (r, c) => data.scenarios[r] && data.fixes[c] && byKey.get(data.scenarios[r].name + '/' + data.fixes[c].name);
  const place = (b) => { const [sc, fx] = b.dataset.cell.split('/'); return [row.get(sc), column.get(fx)]; };
  const visible = (b) => b && b.offsetParent !== null;

  // One cell of the matrix is in the tab order; arrows move it.
  let current = buttons[0];
  if (current) current.tabIndex = 0;
  function moveTo(b, focus = true) {
    if (!b) return;
    current.tabIndex = -1;
    b.tabIndex = 0;
    current = b;
    if (focus) b.focus();
  }
  function step(b, dr, dc) {
    let [r, c] = place(b);
    for (;;) {
      r += dr; c += dc;
      if (r < 0 || c < 0 || r >= data.scenarios.length || c >= data.fixes.length) return undefined;
      const next = at(r, c);
      if (visible(next)) return next;
    }
  }
  const far = (b, dr, dc) => { for (let n; (n = step(b, dr, dc)); b = n); return b; };
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  matrix.addEventListener('keydown', (ev) => {
    const b = ev.target.closest('.cell');
    if (!b || ev.altKey || ev.metaKey) return;
    let to;
    if (moves[ev.key]) to = ev.ctrlKey ? far(b, ...moves[ev.key]) : step(b, ...moves[ev.key]);
    else if (ev.key === 'Home') to = far(ev.ctrlKey ? far(b, -1, 0) : b, 0, -1);
    else if (ev.key === 'End') to = far(ev.ctrlKey ? far(b, 1, 0) : b, 0, 1);
    else return;
    ev.preventDefault();
    moveTo(to);
  });
  matrix.addEventListener('click', (ev) => { const b = ev.target.closest('.cell'); if (b) { moveTo(b, false); open(b.dataset.cell); } });

  // The row and the column of the cell under the pointer or in focus stand out, and its sentence is its tooltip.
  const heads = [...matrix.querySelectorAll('thead .fix')];
  let lit = [];
  function here(ev) {
    const b = ev.target.closest('.cell');
    for (const e of lit) e.classList.remove('here');
    lit = b ? [b.closest('tr'), heads[place(b)[1]]] : [];
    for (const e of lit) e.classList.add('here');
    if (b && !b.title) b.title = b.getAttribute('aria-label');
  }
  matrix.addEventListener('mouseover', here);
  matrix.addEventListener('focusin', here);
  matrix.addEventListener('mouseleave', here);

  // ---- filters -------------------------------------------------------------------------------------------------------------------

  const groups = [...matrix.tBodies].map((body) => [...body.rows].slice(1)); // after each theme's own row
  const lines = groups.flat();
  const unfiltered = document.querySelectorAll('#outcome input').length;

  // found says which of these have every word that was typed somewhere in their name, title or text.
  function found(list, typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return list.map((x) => words.every((w) => [x.name, x.title, x.text, x.from].join(' ').toLowerCase().includes(w)));
  }

  // filter dims cells that are not asked for, and hides rows and columns in which no cell is left.
  function filter() {
    const which = document.querySelector('input[name=reading]:checked').value;
    matrix.classList.toggle('reading-each-request', which === 'each-request');
    matrix.classList.toggle('reading-go-micro', which === 'go-micro');
    const outcomes = [...document.querySelectorAll('#outcome input:checked')].map((i) => i.value);
    const moved = Boolean($('moved')?.checked), some = moved || outcomes.length < unfiltered;
    const asked = (b) => {
      if (!b) return false;
      const halves = [...b.querySelectorAll('.half[data-reading]')].filter((h) => !which || h.dataset.reading === which);
      return halves.some((h) => outcomes.some((o) => h.classList.contains(o))) && (!moved || b.classList.contains('moved'));
    };
    const cells = lines.map((_, r) => data.fixes.map((_, c) => at(r, c)));
    const theme = $('theme').value;
    const showRow = found(data.scenarios, $('find-scenario').value), showColumn = found(data.fixes, $('find-fix').value);
    groups.forEach((group, g) => { for (const tr of group) if (theme !== '' && theme !== String(g)) showRow[lines.indexOf(tr)] = false; });
    for (const b of buttons) b.classList.toggle('dim', some && !asked(b));
    if (some) {
      cells.forEach((list, r) => { showRow[r] &&= list.some((b, c) => showColumn[c] && asked(b)); });
      showColumn.forEach((show, c) => { showColumn[c] = show && cells.some((list, r) => showRow[r] && asked(list[c])); });
    }
    lines.forEach((tr, r) => { tr.hidden = !showRow[r]; });
    groups.forEach((group) => { group[0].parentElement.hidden = group.every((tr) => tr.hidden); });
    const columns = showColumn.filter(Boolean).length;
    for (const tr of matrix.rows) {
      if (tr.classList.contains('theme')) tr.cells[0].colSpan = Math.max(1, columns);
      else showColumn.forEach((show, c) => { tr.cells[c + 1].hidden = !show; });
    }
    $('count').textContent = `${showRow.filter(Boolean).length} of ${lines.length} scenarios, ${columns} of ${data.fixes.length} fixes.`;
    if (current && !visible(current)) moveTo(buttons.find(visible), false);
  }
  for (const event of ['change', 'input']) document.querySelector('.filters').addEventListener(event, filter);
  document.querySelector('.filters').addEventListener('submit', (ev) => ev.preventDefault());
  filter(); // a reload keeps what was ticked

  // ---- a cell --------------------------------------------------------------------------------------------------------------------

  let shown; // the cell that is open
  async function open(key, name) {
    const [sc, fx] = key.split('/');
    const scenario = data.scenarios[row.get(sc)], fix = data.fixes[column.get(fx)];
    if (!scenario || !fix || !byKey.has(key)) return;
    shown = key;
    const { [fx]: cell } = await unpack(sc);
    if (shown !== key) return; // another was opened meanwhile
    const readings = cell.readings || [];
    const selected = readings.find((r) => r.name === name) || readings[0];
    const button = byKey.get(key);
    const go = (text, label, dr, dc) => { const next = step(button, dr, dc); return element('button', { type: 'button', 'aria-label': label, title: label, disabled: !next, click: () => { moveTo(next, false); open(next.dataset.cell, selected?.name); } }, text); };
    const box = element('div', {},
      element('div', { class: 'cell-head' },
        element('div', {}, element('h2', { id: 'cell-title', tabindex: -1, 'aria-describedby': 'verdict' }, scenario.title, element('span', {}, ' with '), fix.title),
          scenario.text ? element('p', {}, scenario.text, scenario.from ? ` (${scenario.from})` : '') : '', fix.text ? element('p', {}, element('b', {}, 'The fix: '), fix.text) : ''),
        element('div', { class: 'nav' }, go('←', 'previous fix', 0, -1), go('→', 'next fix', 0, 1), go('↑', 'previous scenario', -1, 0), go('↓', 'next scenario', 1, 0),
          element('button', { type: 'button', class: 'close', 'aria-label': 'Close', click: () => dialog.close() }, '✕'))));
    if (!selected) {
      box.append(element('p', { class: 'verdict', id: 'verdict' }, cell.na ? 'Not applicable: ' + cell.na + '.' : 'No reading was made.'), cell.replay ? replay(cell.replay) : '');
    } else {
      const tabs = element('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Reading', keydown: (ev) => {
        const i = readings.indexOf(selected) + { ArrowLeft: -1, ArrowRight: 1 }[ev.key];
        if (readings[i]) { ev.preventDefault(); open(key, readings[i].name).then(() => $('tab-' + readings[i].name).focus()); }
      } }, readings.map((r) => element('button', { type: 'button', role: 'tab', id: 'tab-' + r.name, 'aria-controls': 'panel', 'aria-selected': String(r === selected), tabindex: r === selected ? 0 : -1, click: () => open(key, r.name).then(() => $('tab-' + r.name).focus()) },
        { 'each-request': 'gateways that resolve on each request', 'go-micro': 'go-micro’s gateway' }[r.name] || r.name, element('span', { class: 'badge ' + r.outcome }, r.label + (r.moved ? ' !' : '')))));
      box.append(tabs);
    }
    dialog.replaceChildren(box);
    if (!dialog.open) dialog.showModal();
    if (selected) box.append(reading(selected, cell, box.clientWidth - 2 * parseFloat(getComputedStyle(box).paddingLeft) - 2));
    dialog.scrollTop = 0;
    dialog.dataset.cell = key;
    history.replaceState(null, '', bare + '#' + key + (selected ? '/' + selected.name : ''));
    $('cell-title').focus({ preventScroll: true });
  }

  dialog.addEventListener('close', () => {
    shown = undefined;
    dialog.replaceChildren();
    history.replaceState(null, '', bare);
    if (current) current.focus();
  });
  dialog.addEventListener('click', (ev) => { if (ev.target === dialog) dialog.close(); }); // the backdrop

  function fragment() {
    const [sc, fx, name] = location.hash.slice(1).split('/');
    const b = byKey.get(sc + '/' + fx);
    if (!b) return;
    moveTo(b, false);
    open(b.dataset.cell, name);
  }
  addEventListener('hashchange', fragment);
  fragment();
  document.documentElement.dataset.ready = 'true';
})();
