package product

// ScaledObjectCRD is of KEDA's ScaledObject what says what it scales.
const ScaledObjectCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: scaledobjects.keda.sh}
spec:
  group: keda.sh
  names: {kind: ScaledObject, listKind: ScaledObjectList, plural: scaledobjects, singular: scaledobject}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [scaleTargetRef]
              properties:
                scaleTargetRef:
                  type: object
                  required: [name]
                  properties: {apiVersion: {type: string}, kind: {type: string}, name: {type: string}}
`
