// One reading of a cell: its verdict, timeline, evidence and events.

function table(caption, heads, rows) {
  return element(
    'table',
    {},
    element('caption', { class: 'sr' }, caption),
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        Object.entries(heads).map(([h, cls]) => element('th', { scope: 'col', class: cls }, h)),
      ),
    ),
    element('tbody', {}, rows),
  );
}

function eventTable(d, proof) {
  const rows = d.marks.map((m) => {
    const proves = proof.has(m.q);
    return element(
      'tr',
      { 'data-seq': m.q, class: [m.g === 'step' ? 'step' : '', m.s || '', proves ? 'proof' : ''].join(' ') },
      element('td', { class: 'n' }, m.z ? `${m.q}–${m.z}` : String(m.q)),
      element('td', { class: 'n' }, ms(m.t) + (m.u ? '–' + ms(m.u) : '')),
      element('td', {}, m.w),
      element(
        'td',
        { class: 'what' },
        m.y,
        m.n ? element('span', { class: 'more' }, `×${m.n}`) : '',
        proves ? element('span', { class: 'more' }, 'evidence') : '',
      ),
    );
  });
  return table('Events, in order', { '#': 'n', ms: 'n', where: '', what: '' }, rows);
}

const sources = { hit: 'hit', miss: 'miss', member: 'a member', client: 'go-micro’s cache' };
function evidenceTable(evidence) {
  const revision = (r) => (r ? 'r' + r : '–');
  const ids = (list) => (list && list.length ? list.map((id) => element('span', { class: 'id' }, id)) : '–');
  const rows = evidence.map((e) =>
    element(
      'tr',
      {},
      element('td', {}, e.gateway),
      element('td', {}, e.proxy || '–'),
      element('td', {}, sources[e.source] || '–'),
      element('td', { class: 'n' }, revision(e.revision)),
      element('td', { class: 'n' }, revision(e.truth)),
      element('td', {}, ids(e.ghosts)),
      element('td', {}, ids(e.hidden)),
      element('td', { class: 'remark' }, e.note || ''),
      element('td', { class: 'n' }, (e.events || []).join(' ')),
    ),
  );
  const heads = {
    gateway: '',
    proxy: '',
    'answered from': '',
    'answer of': 'n',
    'truth of': 'n',
    'ghosts or leaked': '',
    hidden: '',
    '': '',
    events: 'n',
  };
  return table('Evidence', heads, rows);
}

function reading(r, cell, room) {
  const panel = element('div', {
    role: r.name ? 'tabpanel' : undefined,
    id: 'panel',
    'aria-labelledby': r.name ? 'tab-' + r.name : undefined,
  });
  if (r.outcome)
    panel.append(
      element(
        'p',
        { class: 'verdict', id: 'verdict' },
        element('span', { class: 'badge ' + r.outcome }, r.label),
        r.why + (/[.!?]$/.test(r.why) ? '' : '.'),
      ),
    );
  if (r.moved)
    panel.append(
      element('p', { class: 'expected' }, 'Not as expected: ', element('b', {}, r.expected), ' was expected.'),
    );
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
  if ((r.evidence || []).length)
    panel.append(element('h3', {}, 'Evidence'), element('div', { class: 'wide' }, evidenceTable(r.evidence)));
  if (r.drawing.marks.length) panel.append(element('h3', {}, 'Events'), element('div', { class: 'wide' }, events));
  return panel;
}

function replay(command) {
  const code = element('code', { tabindex: 0 }, command);
  const copy = element(
    'button',
    {
      type: 'button',
      class: 'copy',
      click: async () => {
        let ok = false;
        try {
          await navigator.clipboard.writeText(command);
          ok = true;
        } catch {
          getSelection().selectAllChildren(code);
          try {
            ok = document.execCommand('copy');
          } catch {
            /* it stays selected */
          }
        }
        copy.textContent = ok ? 'copied' : 'selected';
        setTimeout(() => {
          copy.textContent = 'copy';
        }, 1500);
      },
      'aria-label': 'Copy the command that replays this cell',
      'aria-live': 'polite',
    },
    'copy',
  );
  return element('div', { class: 'replay' }, code, copy);
}
