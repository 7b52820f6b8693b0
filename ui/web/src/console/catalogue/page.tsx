/** The data resource centre: all kinds as a list, one kind with fields, quality, lineage and coverage. */
import "./catalogue.css";
import * as s from "../state";
import { Detail } from "./detail";
import { List } from "./list";

export default function CataloguePage() {
  const [, kind, tab] = s.path.value.split("/");
  return kind ? <Detail key={kind} kind={kind} tab={tab} /> : <List />;
}
