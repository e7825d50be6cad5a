// The page's script unpacks a row when a cell of it is opened and places what harness/report drew. Text goes into text
// nodes and attributes only, never into markup, because instances choose their names.
'use strict';

const $ = (id) => document.getElementById(id);
const data = JSON.parse($('data').textContent);

// element(name, attributes, children…); attributes with a function value are listeners.
function element(name, attributes = {}, ...children) {
  const svg = name.startsWith('svg:');
  const e = svg
    ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4))
    : document.createElement(name);
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

const ms = (us) =>
  us < 10000 ? (us / 1000).toFixed(2) : us < 100000 ? (us / 1000).toFixed(1) : Math.round(us / 1000).toString();

const heights = { gateway: 56, writer: 58, balancer: 40, proxy: 56, member: 40, truth: 46 };

// scale places times: gaps grow with the logarithm of the time between, so that a millisecond full of events and a
// second of waiting both fit. All of it is drawn narrower or wider to fill the room, within reason. It returns x(t) and
// the width.
function scale(times, room) {
  const sorted = [...new Set(times)].sort((a, b) => a - b);
  const at = new Map();
  let x = 0;
  const steps = sorted.map((t, i) => (i === 0 ? 0 : 11 + 7.5 * Math.log2(1 + (t - sorted[i - 1]) / 150)));
  const total = steps.reduce((a, b) => a + b, 0);
  const stretch = total > 0 ? Math.min(3, Math.max(0.6, (room - 136) / total)) : 1;
  sorted.forEach((t, i) => {
    x += steps[i] * stretch;
    at.set(t, 26 + x);
  });
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
function widthOf(text, font = '600 12px system-ui, sans-serif') {
  canvas.font = font;
  return canvas.measureText(text).width;
}

// timeline draws d into a box that is room pixels wide. light(seq) is told which event the pointer is at.
function timeline(d, room, sentence, light) {
  const names = 96,
    head = 24,
    foot = 26;
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
  const lanes = d.lanes.map((l) => {
    const h = heights[l.k];
    const lane = { ...l, top: y, h, mid: y + { truth: 0.42, writer: 0.5 }[l.k] * h || y + 0.56 * h };
    y += h;
    return lane;
  });
  const bottom = y,
    height = y + foot;
  const truth = lanes[lanes.length - 1];

  const left = s('svg', { width: names, height, 'aria-hidden': 'true' });
  const body = s('svg', {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': 'Timeline. ' + sentence + ' The events are listed below.',
  });
  const layer = () => body.appendChild(s('g'));
  const back = layer(),
    ways = layer(),
    bars = layer(),
    marks = layer(),
    words = layer();

  lanes.forEach((l, i) => {
    const rule = { x1: 0, x2: width, y1: l.top, y2: l.top, class: 'rule' };
    back.append(s('line', rule));
    left.append(
      s('line', { ...rule, x2: names }),
      s('text', { x: 12, y: l.mid + 2, class: 'name' }, shorten(l.n, 12)),
    );
    if (i === 0 || lanes[i - 1].k !== l.k)
      left.append(
        s(
          'text',
          { x: 12, y: l.mid + 15, class: 'q' },
          {
            gateway: 'gateway',
            writer: 'write',
            balancer: 'balancer',
            proxy: 'proxy',
            member: 'member',
            truth: 'etcd',
          }[l.k],
        ),
      );
  });
  back.append(s('line', { x1: 0, x2: width, y1: bottom, y2: bottom, class: 'rule' }));

  (d.phases || []).forEach((p, i, all) => {
    const from = x(p.t),
      to = i + 1 < all.length ? x(all[i + 1].t) : width;
    if (i % 2)
      back.append(s('rect', { x: from, y: 0, width: Math.max(0, to - from), height: bottom, class: 'alt' }));
    back.append(s('line', { x1: from, x2: from, y1: 0, y2: bottom, class: 'border' }));
    if (to - from > 20)
      words.append(
        s('text', { x: from + 5, y: 16, class: 'q' }, fits(p.n, to - from - 8, '11px system-ui, sans-serif')),
      );
  });

  // Truth: what was so, and from which revision on.
  (d.truth || []).forEach((t, i, all) => {
    const from = x(t.t),
      to = i + 1 < all.length ? x(all[i + 1].t) : right;
    if (to - from < 1) return;
    const text = `r${t.r}: ` + (t.ids.length ? t.ids.join(' ') : 'no instance'),
      room = to - from - 10;
    bars.append(
      s(
        'g',
        {},
        s('title', {}, text),
        s('rect', {
          x: from,
          y: truth.mid - 11,
          width: Math.max(1, to - from - 1.5),
          height: 22,
          rx: 3,
          class: 'seg' + (i % 2 ? ' b' : ''),
        }),
        s(
          'text',
          { x: from + 6, y: truth.mid + 4, class: 'seg' },
          room > 70 ? fits(text, room) : [text, 'r' + t.r].find((w) => widthOf(w) <= room) || '',
        ),
      ),
    );
  });

  for (const b of d.bands || []) {
    const l = lanes[b.l],
      from = x(b.t),
      to = b.u >= 0 ? x(b.u) : right;
    bars.append(
      s(
        'g',
        {},
        s('title', {}, b.x + (b.u < 0 ? ', until the end' : '')),
        s('rect', {
          x: from,
          y: l.top + 1.5,
          width: Math.max(3, to - from),
          height: l.h - 3,
          rx: 4,
          class: 'band',
        }),
        s('text', { x: from + 5, y: l.top + 13, class: 'fault' }, fits(b.x, Math.max(to - from - 8, 90))),
      ),
    );
    l.taken = Math.max(l.taken || 0, from + 8 + widthOf(b.x));
  }

  for (const e of d.entries || []) {
    const l = lanes[e.l],
      from = x(e.t),
      to = x(e.u);
    const moved = e.w && (d.truth || []).find((t) => t.t > e.t && t.r > e.r);
    const turn = moved && moved.t <= e.u ? x(moved.t) : to;
    const part = (a, b, wrong) =>
      b > a &&
      bars.append(
        s('rect', {
          x: a - 8,
          y: l.mid - 9,
          width: b - a + (b === to ? 16 : 8),
          height: 18,
          rx: b === to ? 9 : 0,
          class: 'entry' + (wrong ? ' wrong' : ''),
        }),
      );
    if (to > from) {
      part(from, turn, false);
      if (turn < to) part(turn + 8, to, true);
    }
  }

  // Marks, each lane keeping its words apart.
  const hover = (m) => ({
    mouseenter: () => light(m.q),
    mouseleave: () => light(0),
    click: () => light(m.q, true),
  });
  for (const m of drawn) {
    const l = lanes[m.l];
    const request = m.g === 'ok' || m.g === 'bad';
    const my = request ? l.mid + 14 : m.g === 'truth' ? l.mid + 17 : l.mid;
    const from = x(m.t),
      to = m.u ? x(m.u) : from;
    const wrong = m.s === 'wrong';
    for (const at of new Set([from, to])) {
      const via = m.to ? lanes[m.to - 1] : undefined;
      const way = m.g === 'write' ? 'way written' : 'way' + (wrong ? ' wrong' : '');
      const line = (y1, y2) => ways.append(s('line', { x1: at, x2: at, y1, y2, class: way }));
      if (via) line(my, via.mid);
      if (m.d) line((via || { mid: my }).mid, truth.mid - 11);
    }
    const g = s(
      'g',
      { class: 'm' + (wrong ? ' wrong' : ''), 'data-seq': m.q, ...hover(m) },
      s('title', {}, `${m.w} ${m.y}` + (m.n ? ` (${m.n} times)` : '')),
    );
    if (to > from)
      g.append(
        s('line', { x1: from, x2: to, y1: my, y2: my, class: ['span', m.g, m.s].join(' ') }),
        glyph(m.g, m.s, to, my),
      );
    g.append(glyph(m.g, m.s, from, my));
    marks.append(g);

    let label = m.x || '';
    if (!request && l.k !== 'truth' && m.r && (m.r !== l.said || m.x))
      label = (label ? label + ' ' : '') + 'r' + m.r;
    if (m.n) label = (label ? label + ' ' : '') + '×' + m.n;
    if (request) label = m.g === 'bad' ? (m.x || '') + (m.n ? ' ×' + m.n : '') : '';
    if (!label || m.g === 'truth') continue;
    const cls = m.g === 'write' ? 'written' : m.g === 'fault' ? 'fault' : wrong ? 'wrong' : 'q';
    const w = widthOf(label, cls === 'wrong' ? '650 12px system-ui, sans-serif' : '600 11px system-ui, sans-serif');
    const start = Math.min(request ? to + 8 : from - 4, width - w - 4);
    // Above the mark; a write's words go below it where there is no room, a request's are beside it.
    const rows = request
      ? [['under', my + 4]]
      : m.g === 'write'
        ? [
            ['taken', l.mid - 11],
            ['under', l.mid + 19],
          ]
        : [['taken', l.mid - 13]];
    const row = rows.find(([key]) => start >= (l[key] || 0));
    const crossed =
      request &&
      drawn.some(
        (o) =>
          o !== m &&
          o.l === m.l &&
          (o.g === 'ok' || o.g === 'bad') &&
          x(o.t) < start + w + 6 &&
          x(o.u || o.t) > start - 6,
      );
    if (!row || crossed) {
      l.said = 0;
      continue;
    }
    words.append(s('text', { x: start, y: row[1], class: cls }, label));
    l[row[0]] = start + w + 6;
    l.said = m.r || l.said;
  }

  // The time of whatever there is room for.
  let last = -100;
  for (const t of sorted) {
    const at = x(t);
    if (at - last < 62) continue;
    words.append(
      s('line', { x1: at, x2: at, y1: bottom, y2: bottom + 4, class: 'border' }),
      s('text', { x: at, y: bottom + 17, class: 'q', 'text-anchor': 'middle' }, ms(t)),
    );
    last = at;
  }
  left.append(s('text', { x: names - 8, y: bottom + 17, class: 'q', 'text-anchor': 'end' }, 'ms'));

  return element(
    'div',
    { class: 'timeline', style: `--paper-zoom: ${Math.min(0.85, 1030 / (names + width)).toFixed(3)}` },
    element('div', { class: 'names' }, left),
    element(
      'div',
      {
        class: 'scroll',
        tabindex: width > room - names ? 0 : undefined,
        role: width > room - names ? 'region' : undefined,
        'aria-label': width > room - names ? 'Timeline, scrolls sideways' : undefined,
      },
      body,
    ),
  );
}

function shorten(text, n) {
  const r = [...text];
  return r.length > n ? r.slice(0, n - 1).join('') + '…' : text;
}
function fits(text, room, font) {
  if (widthOf(text, font) <= room) return text;
  for (let n = [...text].length - 1; n > 2; n--) {
    const t = shorten(text, n);
    if (widthOf(t, font) <= room) return t;
  }
  return '';
}

function key() {
  const item = (kind, state, text) =>
    element('li', {}, s('svg', { width: 16, height: 16, 'aria-hidden': 'true' }, glyph(kind, state, 8, 8)), text);
  const list = element(
    'ul',
    { class: 'key timeline-key', 'aria-hidden': 'true' },
    item('hit', '', 'cache hit'),
    item('miss', '', 'miss: the proxy asked etcd'),
    item('member', '', 'a member, no proxy'),
    item('client', '', 'go-micro’s own cache'),
    item('hit', 'wrong', 'disagrees with truth'),
    item('write', '', 'write'),
    item('ok', '', '200'),
    item('bad', 'wrong', 'failed request, or the wrong service'),
    item('fault', '', 'fault fires; a band while it lasts'),
    element('li', {}, 'Gaps in time are drawn shorter the longer they are.'),
  );
  list.style.border = '0';
  list.querySelectorAll('svg').forEach((g) => {
    const wrap = element('span', { class: 'timeline' });
    wrap.style.cssText = 'border:0;margin:0;background:none;overflow:visible';
    g.replaceWith(wrap);
    wrap.append(g);
  });
  return list;
}
