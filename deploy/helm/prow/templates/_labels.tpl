{{/* Labels by which a component is found. */}}
{{- define "prow.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: prow
{{- end }}

{{- define "prow.image" -}}
{{ .Values.images.registry }}prow:{{ .Values.images.tag }}
{{- end }}

{{/* How many there are, and whether the next one starts before the last one ends. */}}
{{- define "prow.replicas" -}}
{{- $v := .root.Values }}
{{- if and $v.postgres (has .name (list "hook" "deck")) }}2
{{- else if and $v.twoOfEach (has .name (list "crier" "horologium" "prow-controller-manager" "sinker")) }}2
{{- else }}1
{{- end }}
{{- end }}
