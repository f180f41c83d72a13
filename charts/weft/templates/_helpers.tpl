{{/* Where the mesh's own parts live; see values.yaml. */}}
{{- define "weft.namespace" -}}
{{- if .Values.namespace -}}
{{- .Values.namespace -}}
{{- else if eq .Release.Namespace "default" -}}
weft-system
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything. Call with (dict "root" $ "component" "control-plane"); the component may be empty. */}}
{{- define "weft.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
app.kubernetes.io/part-of: weft
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .component }}
app.kubernetes.io/name: weft-{{ . }}
{{- end }}
{{- end -}}

{{/* Labels by which Services and Deployments find their pods. They never change. Call with the component. */}}
{{- define "weft.selector" -}}
app.kubernetes.io/part-of: weft
app.kubernetes.io/name: weft-{{ . }}
{{- end -}}

{{/* Call with (dict "root" $ "repository" NAME). */}}
{{- define "weft.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* Above every pod of ours. */}}
{{- define "weft.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1337
runAsGroup: 1337
fsGroup: 1337
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* In every container of ours. */}}
{{- define "weft.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Replicas apart. Call with (dict "values" .Values.COMPONENT "component" NAME). */}}
{{- define "weft.affinity" -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "weft.selector" .component | fromYaml)) -}}
{{- if .values.affinity -}}
{{ toYaml .values.affinity }}
{{- else if and (gt (int .values.replicas) 1) (eq .values.antiAffinity "soft") -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
  - weight: 100
    podAffinityTerm:
      {{- toYaml $term | nindent 6 }}
{{- else if and (gt (int .values.replicas) 1) (eq .values.antiAffinity "hard") -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
  - {{- toYaml $term | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* Where pods go, and with which priority. Call as weft.affinity. */}}
{{- define "weft.scheduling" -}}
{{- with include "weft.affinity" . }}
affinity:
  {{- . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* No replica less while pods are replaced; where two may not share a node, one has to go first. */}}
{{- define "weft.strategy" -}}
type: RollingUpdate
rollingUpdate:
{{- if eq .antiAffinity "hard" }}
  maxUnavailable: 1
  maxSurge: 0
{{- else }}
  maxUnavailable: 0
  maxSurge: 1
{{- end }}
{{- end -}}

{{/* Annotations of a component's pods. Call with (dict "root" $ "values" .Values.COMPONENT "port" NUMBER). */}}
{{- define "weft.podAnnotations" -}}
{{- if .root.Values.prometheusAnnotations }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The PodDisruptionBudget of a component, where there is more than one replica to protect. Call with
     (dict "root" $ "values" .Values.COMPONENT "component" NAME). */}}
{{- define "weft.podDisruptionBudget" -}}
{{- if and .values.podDisruptionBudget (gt (int .values.replicas) 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: weft-{{ .component }}
  namespace: {{ include "weft.namespace" .root }}
  labels:
    {{- include "weft.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "weft.selector" .component | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* What a member of the mesh presents to the control plane, and whom it believes. */}}
{{- define "weft.identityVolume" -}}
name: weft-identity
projected:
  sources:
  - serviceAccountToken:
      audience: weft
      expirationSeconds: 3600
      path: token
  - configMap:
      name: weft-root
      items:
      - key: root.pem
        path: root.pem
{{- end -}}

{{/* HOST:PORT of the control plane for the rest of the cluster. */}}
{{- define "weft.controlPlaneAddress" -}}
weft-control-plane.{{ include "weft.namespace" . }}.svc:15012
{{- end -}}

{{/* What the webhooks for pods have in common. Call with (dict "root" $ "failurePolicy" WORD). */}}
{{- define "weft.podWebhook" -}}
admissionReviewVersions: [v1]
sideEffects: None
failurePolicy: {{ .failurePolicy }}
timeoutSeconds: {{ .root.Values.injector.webhook.timeoutSeconds }}
# Other webhooks may add containers, whose ports and probes matter.
reinvocationPolicy: IfNeeded
clientConfig:
  service:
    name: weft-injector
    namespace: {{ include "weft.namespace" .root }}
    path: /mutate
    port: 443
rules:
- operations: [CREATE]
  apiGroups: [""]
  apiVersions: [v1]
  resources: [pods]
  scope: Namespaced
{{- end -}}

{{/* Names, and the API server, whose address no policy can know. */}}
{{- define "weft.apiServerEgress" -}}
- ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
- ports:
  {{- range .Values.networkPolicy.apiServerPorts }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
{{- end -}}

{{/* "true" where sidecars are to be native. */}}
{{- define "weft.nativeSidecar" -}}
{{- if eq (toString .Values.sidecar.native) "auto" -}}
{{ semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version }}
{{- else -}}
{{ .Values.sidecar.native }}
{{- end -}}
{{- end -}}

{{/* Not empty if an object is the release's to write: it does not exist, or the release has made it. Call with
     (dict "root" $ "found" (lookup ...)). */}}
{{- define "weft.mayCreate" -}}
{{- $annotations := dig "metadata" "annotations" dict (.found | default dict) | default dict -}}
{{- $release := get $annotations "meta.helm.sh/release-name" | toString -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" | toString -}}
{{- if or (not .found) (and (eq $release .root.Release.Name) (eq $namespace .root.Release.Namespace)) -}}
true
{{- end -}}
{{- end -}}
