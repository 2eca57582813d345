{{/*
The Deployment of a component: root, name, and spec with args, mounts, ports, grace, and
optional data (it has a volume), single (there is one at most), noapi (it needs no API).
*/}}
{{- define "prow.deployment" -}}
{{- $v := .root.Values }}
{{- $size := index $v.components .name }}
{{- $spec := .spec }}
{{- $replicas := include "prow.replicas" . }}
{{- $data := and $spec.data (not (and $v.postgres (has .name (list "hook" "deck")))) }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $v.namespace }}
  labels: {{- include "prow.labels" . | nindent 4 }}
spec:
  replicas: {{ $replicas }}
  {{- if or $spec.single $data }}
  strategy: {type: Recreate}
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  {{- end }}
  selector:
    matchLabels: {{- include "prow.labels" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "prow.labels" . | nindent 8 }}
    spec:
      serviceAccountName: {{ .name }}
      {{- if $spec.noapi }}
      automountServiceAccountToken: false
      {{- end }}
      terminationGracePeriodSeconds: {{ $spec.grace }}
      {{- with $v.images.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with $v.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.tolerations }}
      tolerations: {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- if eq $replicas "2" }}
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels: {app.kubernetes.io/name: {{ .name }}}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: {type: RuntimeDefault}
      containers:
      - name: {{ .name }}
        image: {{ include "prow.image" .root }}
        {{- with $v.images.pullPolicy }}
        imagePullPolicy: {{ . }}
        {{- end }}
        args:
        - {{ .name }}
        {{- range concat $spec.args $size.extraArgs }}
        - {{ . | quote }}
        {{- end }}
        - --pprof-port=0
        env:
        - {name: GOMEMLIMIT, value: {{ $size.goMemLimit }}}
        {{- if and $v.github.app (has "github" $spec.mounts) }}
        - name: GITHUB_APP_ID
          valueFrom: {secretKeyRef: {name: github, key: app-id}}
        {{- end }}
        {{- if and $spec.data (not $data) }}
        envFrom:
        - secretRef: {name: store}
        {{- end }}
        ports:
        {{- range $spec.ports }}
        - {name: {{ .name }}, containerPort: {{ .port }}}
        {{- end }}
        - {name: health, containerPort: 8081}
        - {name: metrics, containerPort: 9090}
        startupProbe:
          httpGet: {path: /healthz, port: health}
          periodSeconds: 2
          failureThreshold: 60
        livenessProbe:
          httpGet: {path: /healthz, port: health}
          periodSeconds: 10
          timeoutSeconds: 5
          failureThreshold: 6
        readinessProbe:
          httpGet: {path: /healthz/ready, port: health}
          periodSeconds: 2
          timeoutSeconds: 5
        resources:
          requests: {cpu: {{ $size.cpu }}, memory: {{ $size.memory }}}
          limits: {memory: {{ $size.memoryLimit }}}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL]}
        volumeMounts:
        {{- range $spec.mounts }}
        {{- include "prow.mount" . | nindent 8 }}
        {{- end }}
        {{- if $data }}
        - {name: data, mountPath: /var/lib/{{ .name }}}
        {{- end }}
      volumes:
      {{- range $spec.mounts }}
      {{- include "prow.volume" . | nindent 6 }}
      {{- end }}
      {{- if $data }}
      - name: data
        persistentVolumeClaim: {claimName: {{ .name }}}
      {{- end }}
{{- end }}

{{- define "prow.mount" -}}
{{- $paths := dict "git" "/var/cache/git" "tmp" "/tmp" }}
{{- if hasKey $paths . -}}
- {name: {{ . }}, mountPath: {{ index $paths . }}}
{{- else -}}
- {name: {{ . }}, mountPath: /etc/{{ . }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "prow.volume" -}}
{{- $secrets := dict "github" "github" "webhook" "webhook" "storage" "storage-credentials" "sign-in" "sign-in" "admin" "admin-token" "build-clusters" "build-clusters" -}}
- name: {{ . }}
  {{- if hasKey $secrets . }}
  secret: {secretName: {{ index $secrets . }}, defaultMode: 0440}
  {{- else if eq . "git" }}
  emptyDir: {sizeLimit: 10Gi}
  {{- else if eq . "tmp" }}
  emptyDir: {sizeLimit: 2Gi}
  {{- else }}
  configMap: {name: {{ . }}}
  {{- end }}
{{- end }}
