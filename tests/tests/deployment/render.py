# What `helm template` prints: CHART NAMESPACE VALUES. Helm's own library renders, and checks the values against the chart's schema.
import json
import sys

import helm_python

chart_dir, namespace, values = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with helm_python.Chart.load(chart_dir) as chart:
    chart.validate_schema(chart.merge_values(values))
    manifests = chart.render(values, name="artifacts", namespace=namespace)
report = helm_python.lint(chart_dir, values, strict=True, namespace=namespace)
findings = [message for message in report["messages"] if message["severity"] >= 2]
if findings or report["errors"]:
    sys.exit(f"helm lint: {findings} {report['errors']}")
for path in sorted(manifests):
    if path.endswith(".yaml") and manifests[path].strip():
        print(f"---\n# {path}\n{manifests[path]}")
