/** Plain text of a reply put into paragraphs, lists and links. Nothing here reads HTML. */

const HEADING = /^## (?<words>.+)$/;
const BULLET = /^\s*-\s+(?<words>.+)$/;
const NUMBERED = /^\s*(?<number>\d{1,2})\.\s+(?<words>.+)$/;
const CODE = /([\p{L}\d/]{1,12}(?:-[\p{L}\d]{1,4}){1,3})/u; // MC-7K3M-9QXA-4, 59/2019/NĐ-CP
const ADDRESS = /(https:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]”’»…])/;

/**
 * "## " opens a heading; a blank line ends a paragraph; "- " and "1. " open list items; an indented line goes on the item.
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function words(text) {
  const fragment = new DocumentFragment();
  let open = null;
  const into = (tag) => {
    if (open?.localName === tag) return open;
    open = document.createElement(tag);
    fragment.append(open);
    return open;
  };

  for (const line of text.split(/\r?\n/)) {
    const heading = HEADING.exec(line);
    const bullet = BULLET.exec(line);
    const numbered = NUMBERED.exec(line);
    if (heading) {
      addLine(into("h3"), heading.groups.words);
      open = null;
    } else if (!line.trim()) open = null;
    else if (bullet) into("ul").append(item(bullet.groups.words));
    else if (numbered) into("ol").append(item(numbered.groups.words, numbered.groups.number));
    else if (/^\s/.test(line) && open?.lastElementChild?.localName === "li") addLine(open.lastElementChild, line);
    else addLine(into("p"), line);
  }
  return fragment;
}

function item(text, number) {
  const element = document.createElement("li");
  if (number) element.value = Number(number);
  addLine(element, text);
  return element;
}

function addLine(element, line) {
  if (element.hasChildNodes()) element.append(document.createElement("br"));
  line.trim().split(ADDRESS).forEach((part, index) => element.append(...(index % 2 ? [link(part)] : codesWhole(part))));
}

/** Codes that people copy never break at their hyphens. */
function codesWhole(text) {
  return text.split(CODE).map((part, index) => {
    if (index % 2 === 0) return part;
    const element = document.createElement("span");
    element.className = "code";
    element.textContent = part;
    return element;
  });
}

function link(address) {
  const element = document.createElement("a");
  element.href = address;
  element.rel = "noopener noreferrer";
  element.target = "_blank";
  element.textContent = address;
  return element;
}
