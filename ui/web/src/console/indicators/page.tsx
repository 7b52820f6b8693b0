/** Indicators: every declared number with its target, and what it is made of. */
import "./indicators.css";
import * as s from "../state";
import { List } from "./list";
import { Detail } from "./detail";

export default function IndicatorsPage() {
  const [, key] = s.path.value.split("/");
  return key ? <Detail key={key} name={key} /> : <List />;
}
