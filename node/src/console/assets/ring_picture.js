// The ring of a region as a picture: its shards around, its nodes within, and from each node a line to what it has. Outside of the
// shards are the cells of an account's hosts, each with a line to its nodes.
import { cellWords, freshnessOf } from './cells.js';
import { svg } from './dom.js';
import { counted } from './format.js';

const SIZE = 400;
const [OUTER, INNER, NODES, NODE] = [192, 158, 92, 30];
const COLOURS = 8;
const GAP = 0.012;
/** More numbers than this cannot be read. */
const MOST_NUMBERS = 40;
/** Where cells are, around shards and without; how large an empty and a full one is, and how many have room. */
const [CELLS, CELLS_ALONE, SMALL, LARGE, MOST_CELLS] = [228, 176, 11, 20, 32];
const [MARGIN, FULL] = [52, 48];

/** A colour for each node, the same as long as the nodes are. */
export function colours(members) {
  return new Map(members.map(({ name }) => name).sort().map((name, index) => [name, index % COLOURS]));
}

/** Draws it. What it shows stands in words in its label and in the tables below it. */
export function ringPicture(status, region, colour, hosts = []) {
  const members = status.members.filter((member) => member.region === region);
  const shards = status.shards.filter((shard) => shard.region === region);
  const places = new Map(members.map(({ name }, index) => [name, point(members.length > 1 ? NODES : 0, (index / members.length) * 2 * Math.PI)]));
  const cells = shards.map((shard, index) => cell(shard, index, shards.length, colour));
  const middle = (index) => ((index + 0.5) / shards.length) * 2 * Math.PI;
  const ties = shards.flatMap((shard, index) => {
    const owner = ownerOf(shard);
    const from = owner.name && places.get(owner.name);
    return from ? [line(from, point(INNER, middle(index)), `tie node-${colour.get(owner.name)}${owner.isFirm ? '' : ' loose'}`, `${shard.shard} ${owner.name}`)] : [];
  });
  const live = members.filter((member) => member.live);
  const links = live.flatMap((one, index) => live.slice(index + 1).map((other) =>
    line(places.get(one.name), places.get(other.name), 'link', `${one.name} ${other.name}`)));
  const words = [
    `${counted(members.length, 'node')}, ${live.length} heard`,
    shards.length > 0 && `${counted(shards.length, 'shard')}, ${shards.filter((shard) => ownerOf(shard).name).length} with an owner`,
    hosts.length > 0 && cellWords(hosts),
  ];
  const [from, size] = hosts.length && shards.length ? [-MARGIN, SIZE + 2 * MARGIN] : [0, SIZE];
  const radius = shards.length ? CELLS : CELLS_ALONE;
  const drawn = [...hosts].sort((one, other) => other.hosts - one.hosts).slice(0, MOST_CELLS).sort((one, other) => (one.id < other.id ? -1 : 1));
  const spots = drawn.map((of, index) => ({ of, at: point(radius, ((index + 0.5) / drawn.length) * 2 * Math.PI) }));
  return svg('svg', { viewBox: `${from} ${from} ${size} ${size}`, role: 'img', 'aria-label': `The ring of ${region}: ${words.filter(Boolean).join('; ')}` },
    ...links, ...spots.flatMap((spot) => threads(spot, places, colour)), ...ties, ...cells,
    ...members.map((member) => node(member, places.get(member.name), colour, member.name === status.node)), ...spots.map(hostCell));
}

/** The lines from a cell to its nodes; loose to one that does not take part yet. */
function threads({ of, at }, places, colour) {
  const parts = of.nodes.filter(({ name }) => places.has(name));
  return parts.map(({ name, takes_part }) =>
    line(places.get(name), at, `thread node-${colour.get(name)}${takes_part ? '' : ' loose'}`, `${of.id} ${name}`));
}

/** A cell: the more hosts, the larger, and how many. */
function hostCell({ of, at: [x, y] }) {
  const r = SMALL + (LARGE - SMALL) * Math.sqrt(Math.min(1, of.hosts / FULL));
  return svg('g', { key: `hosts ${of.id}`, class: `host-cell ${freshnessOf(of)[0]}` },
    svg('circle', { cx: x, cy: y, r: r.toFixed(1) }),
    svg('text', { x, y, 'text-anchor': 'middle', 'dominant-baseline': 'central' }, of.hosts));
}

/** Who has a shard in hand; if nobody says so, who should. */
function ownerOf(shard) {
  const serving = shard.units.find((unit) => unit.state === 'serving');
  if (serving) return { name: serving.node, isFirm: true };
  return { name: shard.units[0]?.node ?? shard.suggested_owner ?? null, isFirm: false, isMoving: shard.units.length > 0 };
}

function point(radius, angle) {
  return [SIZE / 2 + radius * Math.sin(angle), SIZE / 2 - radius * Math.cos(angle)].map((at) => Number(at.toFixed(2)));
}

function line([x1, y1], [x2, y2], kind, key) {
  return svg('line', { key, class: kind, x1, y1, x2, y2 });
}

function cell(shard, index, total, colour) {
  const [from, to] = [(index / total) * 2 * Math.PI + GAP, ((index + 1) / total) * 2 * Math.PI - GAP];
  const large = to - from > Math.PI ? 1 : 0;
  const at = (radius, angle) => point(radius, angle).join(' ');
  const path = `M${at(OUTER, from)}A${OUTER} ${OUTER} 0 ${large} 1 ${at(OUTER, to)}L${at(INNER, to)}A${INNER} ${INNER} 0 ${large} 0 ${at(INNER, from)}Z`;
  const owner = ownerOf(shard);
  const kind = owner.name ? `node-${colour.get(owner.name) ?? 'none'}${owner.isFirm ? '' : owner.isMoving ? ' moving' : ' loose'}` : 'nobody';
  const [x, y] = point((OUTER + INNER) / 2, (from + to) / 2);
  return svg('g', { key: `cell ${shard.shard}`, class: `shard ${kind}` },
    svg('path', { d: path }),
    total <= MOST_NUMBERS ? svg('text', { x, y, 'text-anchor': 'middle', 'dominant-baseline': 'central' }, shard.shard) : null);
}

function node(member, [x, y], colour, isAsked) {
  const word = member.live ? member.phase ?? 'unknown' : 'silent';
  const name = member.name.length > 10 ? `${member.name.slice(0, 9)}…` : member.name;
  return svg('g', { key: `node ${member.name}`, class: `node node-${colour.get(member.name)} ${member.live ? word : 'silent'}` },
    svg('circle', { cx: x, cy: y, r: NODE }),
    isAsked ? svg('circle', { cx: x, cy: y, r: NODE - 4, class: 'asked' }) : null,
    svg('text', { x, y: y - 5, 'text-anchor': 'middle', class: 'node-name' }, name),
    svg('text', { x, y: y + 9, 'text-anchor': 'middle', class: 'node-word' }, word));
}
