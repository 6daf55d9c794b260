// The cells in which the hosts of an account gossip, in words.
import { h } from './dom.js';
import { count, counted, duration } from './format.js';
import { chip, id, table } from './parts.js';

/** Hosts ask every ten seconds; one that has not for so long is late. */
const LATE_MS = 20_000;

/** How lately its hosts were heard: `[kind, word]`. */
export function freshnessOf(cell) {
  return cell.longest_ms < LATE_MS ? ['good', 'fresh'] : cell.latest_ms < LATE_MS ? ['warn', 'some late'] : ['bad', 'late'];
}

/** `2 cells with 5 hosts`. */
export function cellWords(cells) {
  const hosts = cells.reduce((sum, cell) => sum + cell.hosts, 0);
  return cells.length ? `${counted(cells.length, 'cell')} with ${counted(hosts, 'host')}` : 'no hosts in cells';
}

/** The cells as a table; `dot` is a node's colour. */
export function cellTable(mesh, dot) {
  const heard = ({ latest_ms, longest_ms }) => (duration(latest_ms) === duration(longest_ms) ? `${duration(latest_ms)} ago` : `${duration(latest_ms)} to ${duration(longest_ms)} ago`);
  const part = ({ name, takes_part }) =>
    h('li', { key: name }, dot(name), h('span', null, name), takes_part ? null : chip('warn', 'not yet in it'));
  const columns = [
    { title: 'Cell', class: 'wide', cell: (cell) => id(cell.id) },
    { title: 'Hosts', class: 'number', cell: (cell) => `${count(cell.hosts)} of ${count(mesh.hosts_max)}` },
    { title: 'Nodes', class: 'wide', cell: (cell) => h('ul', { class: 'parties' }, ...cell.nodes.map(part)) },
    { title: 'Heard', class: 'wide', cell: (cell) => [chip(...freshnessOf(cell)), h('span', { class: 'below' }, heard(cell))] },
  ];
  return table({ name: 'Cells', columns, rows: mesh.cells, key: (cell) => cell.id, empty: 'No host of the account takes part in gossip.' });
}
