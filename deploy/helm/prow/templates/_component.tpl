{{/* All objects of a component; spec is that of prow.deployment, and services, jobs and pods
(rules in the namespaces of ProwJobs and of pods), ingress and egress of its policy. */}}
{{- define "prow.component" -}}
{{- $v := .root.Values }}
{{- $spec := .spec }}
{{ include "prow.deployment" . }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ $v.namespace }}
  labels: {{- include "prow.labels" . | nindent 4 }}
{{- if $spec.noapi }}
automountServiceAccountToken: false
{{- end }}
{{- with $spec.jobs }}
{{ include "prow.role" (dict "name" $.name "account" $.name "namespace" $v.namespace "root" $.root "rules" .) }}
{{- end }}
{{- with $spec.pods }}
{{ include "prow.role" (dict "name" $.name "account" $.name "namespace" $v.podNamespace "root" $.root "rules" .) }}
{{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ $v.namespace }}
  labels: {{- include "prow.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "prow.labels" . | nindent 6 }}
{{- if $spec.services }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $spec.serviceName | default .name }}
  namespace: {{ $v.namespace }}
  labels: {{- include "prow.labels" . | nindent 4 }}
spec:
  selector: {{- include "prow.labels" . | nindent 4 }}
  ports: {{- toYaml $spec.services | nindent 2 }}
{{- end }}
{{- if and $spec.data (not (and $v.postgres (has .name (list "hook" "deck")))) }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  namespace: {{ $v.namespace }}
  labels: {{- include "prow.labels" . | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $v.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ $spec.data }}}
{{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ $v.namespace }}
  labels: {{- include "prow.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "prow.labels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
  {{- with $spec.ingress }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  - from:
    - namespaceSelector:
        matchLabels:
          prow.k8s.io/monitoring: "true"
    ports:
    - {port: metrics, protocol: TCP}
  egress:
  - ports: # names
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  - ports: # the API server, the forge, storage; none of them has a label to select
    - {port: 443, protocol: TCP}
    - {port: 6443, protocol: TCP}
  {{- with $spec.egress }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if and $v.postgres (has .name (list "hook" "deck")) }}
  - ports:
    - {port: 5432, protocol: TCP}
  {{- end }}
  {{- if and $v.ghproxy (has "github" $spec.mounts) }}
  - to:
    - podSelector:
        matchLabels: {app.kubernetes.io/name: ghproxy}
    ports:
    - {port: 8888, protocol: TCP}
  {{- end }}
  {{- if and $v.artifactsOnDisk.enabled (has "storage" $spec.mounts) }}
  - to:
    - podSelector:
        matchLabels: {app.kubernetes.io/name: artifacts}
    ports:
    - {port: 7070, protocol: TCP}
  {{- end }}
{{- end }}

{{- define "prow.role" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "prow.labels" (dict "name" .account) | nindent 4 }}
rules: {{- toYaml .rules | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "prow.labels" (dict "name" .account) | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .name }}}
subjects:
- {kind: ServiceAccount, name: {{ .account }}, namespace: {{ .root.Values.namespace }}}
{{- end }}

{{/* Flags of what talks to GitHub, and of what reads storage. */}}
{{- define "prow.githubArgs" -}}
{{- if .Values.github.app }}
- --github-app-id=$(GITHUB_APP_ID)
- --github-app-private-key-path=/etc/github/cert
{{- else }}
- --github-token-path=/etc/github/token
{{- end }}
{{- if .Values.ghproxy }}
- --github-endpoint=http://ghproxy
- --github-endpoint=https://api.github.com
- --github-graphql-endpoint=http://ghproxy/graphql
{{- end }}
{{- end }}

{{- define "prow.storageArgs" -}}
- --{{ .Values.storage.kind }}-credentials-file=/etc/storage/service-account.json
{{- end }}

{{- define "prow.buildClusterArgs" -}}
{{- if .Values.buildClusters }}
- --kubeconfig-dir=/etc/build-clusters
- --kubeconfig-suffix=.kubeconfig
{{- end }}
{{- end }}
