package cluster_test

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// checkUsage compares a PodMetricsList with what each pod claims, to 10 % since cpu is a rate over a measured time.
func checkUsage(content []byte, pods int, milliCPU, bytes int64) error {
	var list struct {
		Items []struct {
			Containers []struct{ Usage corev1.ResourceList }
		}
	}
	if err := json.Unmarshal(content, &list); err != nil {
		return err
	}
	if len(list.Items) != pods {
		return fmt.Errorf("metrics of %d pods, wanted %d", len(list.Items), pods)
	}
	for _, pod := range list.Items {
		usage := pod.Containers[0].Usage
		cpu, memory := usage.Cpu().MilliValue(), usage.Memory().Value()
		if cpu < milliCPU*9/10 || cpu > milliCPU*11/10 || memory != bytes {
			return fmt.Errorf("usage %dm cpu and %d bytes, wanted about %dm and %d", cpu, memory, milliCPU, bytes)
		}
	}
	return nil
}
