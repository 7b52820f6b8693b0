/** Add a device: product, name, place on the map; its password is shown this once. */
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../common/api";
import { Icon } from "../../common/icon";
import { t, tt } from "../../common/i18n";
import { Dialog } from "../parts/dialog";
import * as s from "../state";
import { PlaceMap } from "./place";
import type { Product } from "./types";

interface Made { product: string; device: string; username: string; password: string; topic: string; port: number }

function Given({ made, onClose }: { made: Made; onClose: () => void }) {
  const { hostname } = location;
  const send = `mosquitto_pub -h ${hostname} -p ${made.port} -q 1 -i ${made.device} -u '${made.username}' -P '${made.password}' -t ${made.topic} -m '{"values": {…}}'`;
  const line = (label: string, value: string, id: string) => (
    <div class="given"><span class="muted small">{label}</span><code id={id}>{value}</code><button type="button" class="ghost" aria-label={t("acc.copy")} title={t("acc.copy")} onClick={() => void navigator.clipboard?.writeText(value)}><Icon name="copy" /></button></div>
  );
  return (
    <Dialog title={t("dev.add.done")} onClose={onClose} wide>
      <p class="muted">{t("dev.add.once")}</p>
      {line(t("dev.add.user"), made.username, "made-user")}
      {line(t("dev.add.password"), made.password, "made-password")}
      {line(t("dev.add.topic"), made.topic, "made-topic")}
      {line(t("dev.add.try"), send, "made-send")}
      <div class="ends">
        <button type="button" class="btn" onClick={onClose}>{t("acc.noted")}</button>
        <button type="button" class="btn main" onClick={() => { onClose(); s.go(`devices/${made.product}/${encodeURIComponent(made.device)}`); }}>{t("dev.add.open")}</button>
      </div>
    </Dialog>
  );
}

export function Add({ product, onClose }: { product: string; onClose: () => void }) {
  const [products, setProducts] = useState<Product[]>([]);
  const [key, setKey] = useState(product);
  const [name, setName] = useState("");
  const [device, setDevice] = useState("");
  const [thing, setThing] = useState("");
  const [at, setAt] = useState<[number, number] | null>(null);
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState<Made | null>(null);
  useEffect(() => { get<{ products: Product[] }>("/api/v1/products").then((f) => { setProducts(f.products); if (!key) setKey(f.products[0]?.key ?? ""); }, (e: Error) => setWhy(e.message)); }, []);
  if (made) return <Given made={made} onClose={onClose} />;
  const chosen = products.find((p) => p.key === key);
  const own = chosen?.kind !== "sensor" && chosen !== undefined;
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    if (!thing && !at) { setWhy(t("dev.add.where")); return; }
    setBusy(true);
    try {
      setMade(await post<Made>("/api/v1/devices", { product: key, device, name: name || null, thing: thing || null, lon: at?.[0] ?? null, lat: at?.[1] ?? null }));
    } catch (e) {
      setWhy((e as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("dev.add")} onClose={onClose} wide>
      <form class="addform" onSubmit={submit}>
        <div class="fields">
          <label class="field"><span>{t("dev.product")}</span><select id="add-product" value={key} onChange={(e) => setKey(e.currentTarget.value)} required>{products.map((p) => <option value={p.key}>{tt(p.title)}</option>)}</select></label>
          <label class="field"><span>{t("dev.add.id")}</span><input id="add-device" value={device} onInput={(e) => setDevice(e.currentTarget.value)} required maxLength={64} pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*" placeholder="SN20260001" autocomplete="off" /></label>
          <label class="field"><span>{t("dev.add.name")}</span><input id="add-name" value={name} onInput={(e) => setName(e.currentTarget.value)} maxLength={120} autocomplete="off" /></label>
          <label class="field"><span>{t(own ? "dev.add.thing" : "dev.add.thing.or")}</span><input id="add-thing" value={thing} onInput={(e) => setThing(e.currentTarget.value)} maxLength={64} placeholder="310101-SE-000001" autocomplete="off" /></label>
          <p class="muted small"><Icon name="map-pin" size={14} /> {at ? `${at[0].toFixed(5)}, ${at[1].toFixed(5)}` : t("dev.add.pick")}</p>
          {why && <p class="wrong" role="alert">{why}</p>}
          <div class="ends"><button type="button" class="btn" onClick={onClose}>{t("acc.cancel")}</button><button class="btn main" disabled={busy}>{t("dev.add")}</button></div>
        </div>
        <PlaceMap at={at} onPick={setAt} label={t("dev.add.pick")} />
      </form>
    </Dialog>
  );
}
