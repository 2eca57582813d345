package webhookserver

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Names under which the API server knows the webhooks.
const (
	validatingName = "prow-job-validating-webhook-config.prow.k8s.io"
	mutatingName   = "prow-job-mutating-webhook-config.prow.k8s.io"
	fieldManager   = client.FieldOwner("webhook-server")
)

// registration says how the API server reaches the webhooks, and for what.
type registration struct {
	// url of the server, without path; empty is the service.
	url string
	// service is that of the server; the zero value is default/prowjob-admission-webhook.
	service types.NamespacedName
	// everything lets all ProwJobs through the webhooks, not only those that
	// carry the labels, and lets them pass while the server does not answer.
	everything bool
}

func (r registration) clientConfig(path string, ca []byte) admissionregistration.WebhookClientConfig {
	c := admissionregistration.WebhookClientConfig{CABundle: ca}
	if r.url != "" {
		c.URL = ptr.To(r.url + path)
		return c
	}
	service := r.place()
	c.Service = &admissionregistration.ServiceReference{Namespace: service.Namespace, Name: service.Name, Path: &path}
	return c
}

func (r registration) place() types.NamespacedName {
	if r.service.Name == "" {
		return types.NamespacedName{Namespace: "default", Name: "prowjob-admission-webhook"}
	}
	return r.service
}

// serviceOf is the service that the first of DNS names is about, NAME.NAMESPACE.svc; the
// zero value if there is none, or no such name.
func serviceOf(hosts []string) types.NamespacedName {
	if len(hosts) == 0 {
		return types.NamespacedName{}
	}
	parts := strings.Split(hosts[0], ".")
	if len(parts) < 3 || parts[2] != "svc" || parts[0] == "" || parts[1] == "" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: parts[1], Name: parts[0]}
}

func (r registration) rules(operations ...admissionregistration.OperationType) []admissionregistration.RuleWithOperations {
	return []admissionregistration.RuleWithOperations{{
		Operations: operations,
		Rule: admissionregistration.Rule{
			APIGroups: []string{"prow.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"prowjobs"}, Scope: ptr.To(admissionregistration.AllScopes),
		},
	}}
}

func (r registration) selector(labels map[string]string) *metav1.LabelSelector {
	if r.everything {
		return &metav1.LabelSelector{}
	}
	return &metav1.LabelSelector{MatchLabels: labels}
}

func (r registration) failurePolicy() *admissionregistration.FailurePolicyType {
	if r.everything {
		return ptr.To(admissionregistration.Ignore)
	}
	return ptr.To(admissionregistration.Fail)
}

func (r registration) validating(ca []byte) *admissionregistration.ValidatingWebhookConfiguration {
	return &admissionregistration.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: validatingName},
		Webhooks: []admissionregistration.ValidatingWebhook{{
			Name: validatingName, ClientConfig: r.clientConfig("/validate", ca), Rules: r.rules(admissionregistration.Create, admissionregistration.Update),
			ObjectSelector: r.selector(map[string]string{"admission-webhook": "enabled"}),
			SideEffects:    ptr.To(admissionregistration.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, FailurePolicy: r.failurePolicy(),
		}},
	}
}

func (r registration) mutating(ca []byte) *admissionregistration.MutatingWebhookConfiguration {
	return &admissionregistration.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: mutatingName},
		Webhooks: []admissionregistration.MutatingWebhook{{
			Name: mutatingName, ClientConfig: r.clientConfig("/mutate", ca), Rules: r.rules(admissionregistration.Create),
			// Defaults are for those who ask for them, everywhere.
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"admission-webhook": "enabled", "default-me": "enabled"}},
			SideEffects:    ptr.To(admissionregistration.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, FailurePolicy: r.failurePolicy(),
		}},
	}
}

// ensure makes the API server call the webhooks and trust ca. What people have
// changed in the configurations stays; only where the server is and whom to
// trust is set right.
func (r registration) ensure(ctx context.Context, c client.Client, ca []byte) error {
	validating := &admissionregistration.ValidatingWebhookConfiguration{}
	err := ensure(ctx, c, validating, r.validating(ca), func() bool {
		changed := false
		for i := range validating.Webhooks {
			changed = r.correct(&validating.Webhooks[i].ClientConfig, ca) || changed
		}
		return changed
	})
	if err != nil {
		return err
	}
	mutating := &admissionregistration.MutatingWebhookConfiguration{}
	return ensure(ctx, c, mutating, r.mutating(ca), func() bool {
		changed := false
		for i := range mutating.Webhooks {
			changed = r.correct(&mutating.Webhooks[i].ClientConfig, ca) || changed
		}
		return changed
	})
}

func (r registration) correct(c *admissionregistration.WebhookClientConfig, ca []byte) bool {
	changed := false
	if !bytes.Equal(c.CABundle, ca) {
		c.CABundle, changed = ca, true
	}
	if r.url != "" && c.URL != nil {
		path := (*c.URL)[bytes.LastIndexByte([]byte(*c.URL), '/'):]
		if want := r.url + path; *c.URL != want {
			*c.URL, changed = want, true
		}
	}
	if want := r.place(); r.url == "" && c.Service != nil && (c.Service.Name != want.Name || c.Service.Namespace != want.Namespace) {
		c.Service.Name, c.Service.Namespace, changed = want.Name, want.Namespace, true
	}
	return changed
}

// ensure makes an object or corrects the one that there is.
func ensure(ctx context.Context, c client.Client, have, want client.Object, correct func() bool) error {
	err := c.Get(ctx, client.ObjectKeyFromObject(want), have)
	if apierrors.IsNotFound(err) {
		if err = c.Create(ctx, want, fieldManager); err == nil || !apierrors.IsAlreadyExists(err) {
			return wrap(want, err)
		}
		err = c.Get(ctx, client.ObjectKeyFromObject(want), have)
	}
	if err != nil {
		return wrap(want, err)
	}
	before := have.DeepCopyObject().(client.Object) //nolint:errcheck // a copy has the type of the original
	if !correct() {
		return nil
	}
	return wrap(want, c.Patch(ctx, have, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), fieldManager))
}

func wrap(o client.Object, err error) error {
	if err != nil {
		return fmt.Errorf("register %s: %w", o.GetName(), err)
	}
	return nil
}
