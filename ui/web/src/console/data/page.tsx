/** Loading data: a file, its columns, what would become of it, and what became of it. */
import { t } from "../../common/i18n";
import { Head } from "../parts/head";

export default function Data() {
  return <Head title={t("console.data")} />;
}
