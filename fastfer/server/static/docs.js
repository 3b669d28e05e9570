// Renders /openapi.json. All text is set with textContent.

function element(name, text, ...children) {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

function table(head, rows) {
  const body = rows.map((row) => element("tr", "", ...row.map((cell) => element("td", cell))));
  return element("table", "",
    element("thead", "", element("tr", "", ...head.map((cell) => element("th", cell)))),
    element("tbody", "", ...body));
}

function example(schema, all, depth = 0) {
  if (!schema || depth > 6) return null;
  if (schema.$ref) return example(all[schema.$ref.split("/").pop()], all, depth + 1);
  if (schema.anyOf) return example(schema.anyOf[0], all, depth + 1);
  if (schema.type === "array") return [example(schema.items, all, depth + 1)];
  if (schema.type === "object") {
    const entries = Object.entries(schema.properties || {});
    if (!entries.length && schema.additionalProperties) return { happy: 0.97 };
    return Object.fromEntries(entries.map(([key, value]) => [key, example(value, all, depth + 1)]));
  }
  return { string: "…", number: 0.97, integer: 1, boolean: false }[schema.type] ?? null;
}

function operation(path, method, op, schemas) {
  const card = element("details", "", element("summary", "",
    element("code", `${method.toUpperCase()} ${path}`), element("span", op.summary || "")));
  if (op.description) card.append(element("p", op.description));
  if (op.parameters) {
    card.append(element("h3", "Options"), table(["name", "in", "default", "meaning"],
      op.parameters.map((p) => [p.name, p.in, String(p.schema?.default ?? ""), p.description || ""])));
  }
  const curl = op["x-curl"] || (method === "get" ? "curl" : `curl -X ${method.toUpperCase()}`);
  card.append(element("h3", "Example"), element("pre", `${curl} ${location.origin}${path}`));
  card.append(element("h3", "Answers"), table(["status", "meaning"],
    Object.entries(op.responses).map(([status, r]) => [status, r.description || ""])));
  const shape = op.responses["200"]?.content?.["application/json"]?.schema;
  if (shape?.$ref) card.append(element("pre", JSON.stringify(example(shape, schemas), null, 2)));
  return card;
}

const main = document.getElementById("operations");
const api = await (await fetch("/openapi.json")).json();
const groups = new Map();
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, op] of Object.entries(methods)) {
    const tag = op.tags?.[0] || "other";
    if (!groups.has(tag)) groups.set(tag, []);
    groups.get(tag).push(operation(path, method, op, api.components?.schemas || {}));
  }
}
main.replaceChildren();
for (const [tag, cards] of groups) main.append(element("h2", tag), ...cards);
